import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { KeyRing } from "@downbeat/delivery/seal.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { ScheduleDefaults } from "./schedules/timing-policy.ts";

/** The Fastify instance that resources add their routes to: schemas are zod, and give handlers their types. */
export type Api = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

/** What the routes work with. */
export interface ApiParts {
  /** Connections with the role `downbeat_api`. */
  sql: Sql;
  /** Seals the secrets of endpoints. */
  keyRing: KeyRing;
  /** Accepts base URLs on loopback and private addresses and with plain http. */
  allowPrivateTargets: boolean;
  /** For schedules that say nothing of their own. */
  defaults: ScheduleDefaults;
  /** Of the program, for `/health` and the OpenAPI document. */
  version: string;
}
