import { describeSchemaBehind } from "@downbeat/store/schema-behind.ts";
import { isTransientDatabaseError } from "@downbeat/store/transient.ts";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Problem, type ProblemCode, problemBody } from "./problem.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The error behind an answer of 500 or 503, for the request's log line. */
    failure?: unknown;
  }
}

/** Answers an error as problem+json. What is not meant for the caller stays in `request.failure`, and from there reaches the log once. */
export function answerProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = toProblem(error);
  const schemaBehind = describeSchemaBehind(error);
  if (problem.status >= 500) request.failure = schemaBehind === undefined ? error : new Error(schemaBehind, { cause: error });
  return reply.code(problem.status).headers(problem.headers).type("application/problem+json").send(problemBody(problem, request.id));
}

/** Which `Problem` an error is. An unexpected one tells nothing of itself. */
export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const { code, constraint_name: constraint, statusCode } = error as { code?: string; constraint_name?: string; statusCode?: number };
  const known = code === undefined ? undefined : fastifyProblems[code];
  if (known !== undefined) return new Problem(...known);
  if (code === "23505" && constraint !== undefined && takenNames[constraint] !== undefined) {
    const { field, message } = takenNames[constraint];
    return new Problem("name_taken", { errors: [{ field, message }] });
  }
  if (describeSchemaBehind(error) !== undefined) {
    return new Problem("unavailable", {
      detail: "The database has not been brought to this version yet; try again in a moment.",
      headers: { "retry-after": "5" },
    });
  }
  if (isTransientDatabaseError(error)) {
    return new Problem("unavailable", {
      detail:
        "The database cannot be reached at the moment; try again. If the connection broke during the commit, the change may have been made.",
      headers: { "retry-after": "5" },
    });
  }
  // What is left of Fastify's and the JSON parser's complaints about a request, like `__proto__` in a body or a malformed escape in a path.
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new Problem("malformed_request", { detail: "The request is malformed." });
  return new Problem("internal", { detail: "Nothing is known to have been changed. The request id finds the error in the log." });
}

/** Unique constraints that a caller can meet. */
const takenNames: Readonly<Record<string, { field: string; message: string }>> = {
  schedules_name_key: { field: "name", message: "is taken by another schedule of this tenant" },
  endpoints_tenant_id_name_key: { field: "name", message: "is taken by another endpoint of this tenant" },
  calendars_name_key: { field: "name", message: "is taken by another calendar of the same scope" },
  tenants_slug_key: { field: "slug", message: "is taken by another tenant" },
};

const fastifyProblems: Readonly<Record<string, [ProblemCode, { detail: string }]>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: ["malformed_request", { detail: "The body is not valid JSON." }],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ["malformed_request", { detail: "The body is not as long as Content-Length says." }],
  FST_ERR_CTP_BODY_TOO_LARGE: ["body_too_large", { detail: "The body must not be larger than 256 KiB." }],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ["unsupported_media_type", { detail: "Send the body as `Content-Type: application/json`." }],
};
