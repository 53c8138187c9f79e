import { randomUUID } from "node:crypto";
import swagger from "@fastify/swagger";
import { describeError, type Log } from "@downbeat/runtime/log.ts";
import type { MetricsText } from "@downbeat/runtime/process-metrics.ts";
import { fastify, type FastifyRequest } from "fastify";
import { jsonSchemaTransform, jsonSchemaTransformObject, serializerCompiler, type ZodTypeProvider } from "fastify-type-provider-zod";
import { answerProblem } from "./http/answer-problem.ts";
import type { Api, ApiParts } from "./api.ts";
import { auditRoutes } from "./operations/audits.ts";
import { authenticate } from "./http/authenticate.ts";
import { backfillRoutes } from "./backfills/backfills.ts";
import { bulkRoutes } from "./schedules/bulk-schedules.ts";
import { calendarRoutes } from "./calendars/calendars.ts";
import { endpointRoutes } from "./endpoints/endpoints.ts";
import { explainRoutes } from "./explain/explain-schedule.ts";
import { forecastRoutes } from "./forecast/forecast.ts";
import { healthRoutes } from "./operations/health.ts";
import { metricsRoute } from "./operations/metrics.ts";
import { openApiBase, tidyDocument } from "./openapi.ts";
import { Problem } from "./http/problem.ts";
import { runRoutes } from "./runs/runs.ts";
import { scheduleActionRoutes } from "./schedules/schedule-actions.ts";
import { scheduleRoutes } from "./schedules/schedules.ts";
import { tenantRoutes } from "./tenants/tenants.ts";
import { timezoneRoutes } from "./operations/timezones.ts";
import { timingQuestionRoutes } from "./schedules/timing-questions.ts";
import { validateRequest } from "./http/validate-request.ts";

export interface ApiServerOptions extends ApiParts {
  log: Log;
  /** Counts requests. Default: nobody does. */
  onAnswered?: (route: string, method: string, status: number, durationMs: number) => void;
  /** What `/metrics` answers. Default: there is no such route. */
  scrape?: () => Promise<MetricsText>;
}

const bodyBytesMax = 256 * 1024;

/** The HTTP server with every route, not listening yet. Nothing is connected until a request needs it. */
export async function createServer({ log, onAnswered = () => {}, scrape, ...parts }: ApiServerOptions): Promise<Api> {
  const server: Api = fastify({
    logger: false,
    bodyLimit: bodyBytesMax,
    // A client that sends slower than this holds a socket for nothing.
    requestTimeout: 30_000,
    genReqId: () => randomUUID(),
    // An id is looked up, never trusted; long segments are names that nobody has.
    routerOptions: { maxParamLength: 2_048 },
  }).withTypeProvider<ZodTypeProvider>();
  server.setValidatorCompiler(validateRequest);
  server.setSerializerCompiler(serializerCompiler);
  server.setErrorHandler(answerProblem);
  server.setNotFoundHandler((request, reply) =>
    answerProblem(new Problem("route_not_found", { detail: "See /api/v1/openapi.json." }), request, reply),
  );
  acceptJson(server);
  logRequests(server, log, onAnswered);
  letGoWhenClosing(server);
  const methods = collectRoutes(server);

  await server.register(swagger, {
    openapi: openApiBase(parts.version),
    transform: jsonSchemaTransform,
    transformObject: (document) => tidyDocument(jsonSchemaTransformObject(document)),
  });
  await server.register(
    async (v1) => {
      const api: Api = v1.withTypeProvider<ZodTypeProvider>();
      api.get("/openapi.json", { schema: { hide: true } }, (_request, reply) => reply.send(server.swagger()));
      healthRoutes(api, parts, { isDocumented: true });
      await api.register(async (guarded) => {
        guarded.addHook("onRequest", async (request) => {
          request.caller = await authenticate(parts.sql, request);
        });
        for (const addRoutes of [
          tenantRoutes,
          endpointRoutes,
          calendarRoutes,
          scheduleRoutes,
          scheduleActionRoutes,
          bulkRoutes,
          timingQuestionRoutes,
          forecastRoutes,
          explainRoutes,
          backfillRoutes,
          runRoutes,
          timezoneRoutes,
          auditRoutes,
        ])
          addRoutes(guarded, parts);
      });
    },
    { prefix: "/api/v1" },
  );
  // Where probes and scrapers look for them.
  await server.register(async (root) => {
    const api: Api = root.withTypeProvider<ZodTypeProvider>();
    healthRoutes(api, parts, { isDocumented: false });
    if (scrape !== undefined) metricsRoute(api, scrape);
  });
  refuseOtherMethods(server, methods);
  return server;
}

/** JSON and nothing else. `POST …/pause` needs no body; clients that say `Content-Type: application/json` without one are right too. */
function acceptJson(server: Api): void {
  server.removeContentTypeParser("text/plain");
  const parseJson = server.getDefaultJsonParser("error", "error");
  server.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else void parseJson(request, String(body), done);
  });
}

/** An answer given while the server closes ends its connection; kept alive, it would hold the close until the client lets go. */
function letGoWhenClosing(server: Api): void {
  let isClosing = false;
  server.addHook("preClose", async () => {
    isClosing = true;
  });
  server.addHook("onSend", async (_request, reply) => {
    if (isClosing) reply.header("connection", "close");
  });
}

/** Exactly one line for each request: who, what, how it ended, how long it took. Never headers, query or body. */
function logRequests(server: Api, log: Log, onAnswered: NonNullable<ApiServerOptions["onAnswered"]>): void {
  server.addHook("onRequest", async (request, reply) => {
    void reply.header("x-request-id", request.id);
  });
  server.addHook("onResponse", async (request, reply) => {
    const { statusCode } = reply;
    onAnswered(request.routeOptions.url ?? "unknown", request.method, statusCode, reply.elapsedTime);
    const line = { ...requestFields(request), status: statusCode, ms: Math.round(reply.elapsedTime * 10) / 10 };
    if (request.failure === undefined) {
      const isProbe = /\/(health|metrics)$/.test(request.routeOptions.url ?? "") && statusCode === 200;
      log[isProbe ? "debug" : "info"](line, "request");
    } else {
      log[statusCode === 503 ? "warn" : "error"]({ ...line, err: request.failure }, `request failed: ${describeError(request.failure)}`);
    }
  });
}

function requestFields(request: FastifyRequest) {
  const { caller } = request as { caller?: FastifyRequest["caller"] };
  return {
    request: request.id,
    method: request.method,
    route: request.routeOptions.url ?? "unknown",
    tenant: caller?.tenant?.id,
    key: caller?.keyId,
  };
}

const allMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;
type Method = (typeof allMethods)[number];

function collectRoutes(server: Api): Map<string, Set<string>> {
  const methods = new Map<string, Set<string>>();
  server.addHook("onRoute", ({ url, method }) => {
    const known = methods.get(url) ?? new Set();
    for (const one of [method].flat()) known.add(one);
    methods.set(url, known);
  });
  return methods;
}

/** A path that exists answers 405 to the methods it does not take, and says which it does. */
function refuseOtherMethods(server: Api, routes: ReadonlyMap<string, ReadonlySet<string>>): void {
  // Refusals are routes too, and are collected as the others are.
  const taken = [...routes].map(([url, methods]) => [url, new Set(methods)] as const);
  for (const [url, own] of taken) {
    // A schedule may be called "bulk": GET /schedules/bulk is a question about it, although there is a route of that path for POST.
    const known = new Set(taken.flatMap(([other, methods]) => (isCoveredBy(other, url) ? [...methods] : [])));
    const allowed = [...own.union(known)].sort().join(", ");
    const method: Method[] = allMethods.filter((one) => !own.has(one) && !known.has(one));
    server.route({
      method,
      url,
      schema: { hide: true },
      handler: () => {
        throw new Problem("method_not_allowed", { detail: `This route takes ${allowed}.`, headers: { allow: allowed } });
      },
    });
  }
}

/** True when the path, with names in the place of parameters, is one that the other route takes. */
function isCoveredBy(route: string, url: string): boolean {
  const [parts, given] = [route.split("/"), url.split("/")];
  return route !== url && parts.length === given.length && parts.every((part, index) => part === given[index] || part.startsWith(":"));
}
