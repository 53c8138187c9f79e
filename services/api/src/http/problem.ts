import * as z from "zod";

/**
 * Every refusal the API can give: the stable `code` that clients may branch on, its HTTP status and its title. Where the line between 400 and 422 is: 400 means the
 * request does not have the shape the route takes (malformed JSON, unknown, missing or mistyped fields, anything wrong in the query or a header); 422 means the shape is
 * right and a value is not acceptable (an unknown time zone, a cron expression that never fires, an interval of -5).
 */
const kinds = {
  malformed_request: { status: 400, title: "The request cannot be read" },
  invalid_request: { status: 400, title: "The request has unknown, missing or mistyped fields" },
  tenant_required: { status: 400, title: "The request must name a tenant" },
  unauthorized: { status: 401, title: "A valid API key is needed" },
  forbidden: { status: 403, title: "This API key may not do this" },
  not_found: { status: 404, title: "There is no such thing" },
  route_not_found: { status: 404, title: "There is no such route" },
  method_not_allowed: { status: 405, title: "The route does not take this method" },
  name_taken: { status: 409, title: "The name is taken" },
  revision_changed: { status: 412, title: "Somebody else changed it meanwhile" },
  confirmation_needed: { status: 409, title: "The change has to be confirmed" },
  limit_reached: { status: 409, title: "A limit of the tenant is reached" },
  in_use: { status: 409, title: "Something else still needs it" },
  too_many_schedules: { status: 409, title: "More schedules are concerned than one change may edit" },
  maintenance_unsettled: { status: 409, title: "An earlier maintenance is not accounted for yet" },
  backfill_overlaps: { status: 409, title: "Another backfill covers part of this stretch" },
  backfill_ended: { status: 409, title: "The backfill has ended" },
  unusable_rule: { status: 409, title: "The schedule's rule can no longer be evaluated" },
  no_next_occurrence: { status: 409, title: "The schedule has no further occurrence" },
  body_too_large: { status: 413, title: "The request body is too large" },
  unsupported_media_type: { status: 415, title: "The request body must be JSON" },
  invalid_value: { status: 422, title: "A value is not acceptable" },
  internal: { status: 500, title: "Something went wrong on our side" },
  unavailable: { status: 503, title: "The service is temporarily unavailable" },
} as const;

export type ProblemCode = keyof typeof kinds;

/** What is wrong with one field. `message` is read after the field's name. */
export interface FieldError {
  field: string;
  message: string;
  /** What was given, where repeating it helps and is harmless. */
  value?: unknown;
  /** What would be right, where it can be listed. */
  expected?: string | readonly string[];
}

export interface ProblemOptions {
  detail?: string;
  errors?: readonly FieldError[];
  /** Sent with the answer, like `www-authenticate`. */
  headers?: Readonly<Record<string, string>>;
}

/** Thrown by whatever refuses a request; everything in it is meant for the caller. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: ProblemCode;
  readonly errors: readonly FieldError[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ProblemCode, { detail, errors = [], headers = {} }: ProblemOptions = {}) {
    super(detail ?? errors.map(({ field, message }) => `${field} ${message}${message.endsWith("?") ? "" : "."}`).join(" "));
    this.code = code;
    this.errors = errors;
    this.headers = headers;
  }

  get status(): number {
    return kinds[this.code].status;
  }
}

/** The body of the answer (RFC 9457). Apart from `request_id` it is a function of the problem alone: a foreign id and an unknown one answer the same bytes. */
export function problemBody({ code, message, errors }: Problem, requestId: string): string {
  const { status, title } = kinds[code];
  return JSON.stringify({
    type: `urn:downbeat:problem:${code}`,
    title,
    status,
    ...(message === "" ? {} : { detail: message }),
    code,
    request_id: requestId,
    ...(errors.length === 0 ? {} : { errors }),
  });
}

/** The same, for the OpenAPI document. */
export const problemSchema = z
  .object({
    type: z.string().describe("`urn:downbeat:problem:` and the code."),
    title: z.string().describe("What kind of problem this is, in words."),
    status: z.int().describe("The HTTP status."),
    detail: z.string().optional().describe("What is wrong with this request."),
    code: z.enum(Object.keys(kinds) as ProblemCode[]).describe("Stable; the one thing to branch on."),
    request_id: z.string().describe("Quote it when asking for help; the log has it."),
    errors: z
      .array(
        z.object({
          field: z.string().describe("The field, with dots into objects."),
          message: z.string().describe("What is wrong; read it after the field's name."),
          value: z.unknown().optional().describe("What was given."),
          expected: z
            .union([z.string(), z.array(z.string())])
            .optional()
            .describe("What would be right."),
        }),
      )
      .optional()
      .describe("One entry for each field at fault."),
  })
  .meta({ id: "Problem", description: "Why a request was refused (RFC 9457)." });

/** The `default` entry of every route's answers. */
export const problemAnswer = {
  description: "The request was refused, or failed.",
  content: { "application/problem+json": { schema: problemSchema } },
} as const;
