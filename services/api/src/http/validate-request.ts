import { closestName } from "@downbeat/timing/closest-name.ts";
import type { FastifySchemaCompiler } from "fastify";
import * as z from "zod";
import { type FieldError, Problem } from "./problem.ts";
import { findUnstorable } from "./storable-json.ts";

/** Fields whose values are never repeated in an answer. */
const secretFields = new Set(["secret", "headers"]);

/** Fastify's validator: reads one part of a request with its zod schema, and reports everything that is wrong with it as one `Problem`. */
export const validateRequest: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const part = httpPart === "querystring" ? "query" : (httpPart ?? "body");
  return (data: unknown) => {
    // Fastify hands over null for a request without a body; a route whose body is optional sees it as absent.
    const given = data === null && part === "body" ? undefined : data;
    const unstorable = findUnstorable(given, "");
    if (unstorable !== undefined)
      return { error: new Problem("invalid_request", { errors: [{ ...unstorable, field: unstorable.field || part }] }) };
    const parsed = schema.safeParse(given);
    if (parsed.success) return { value: parsed.data };
    const errors = parsed.error.issues.flatMap((issue) => toFieldErrors(issue, { schema, given, part }));
    const isShapeRight = part === "body" && parsed.error.issues.every((issue) => valueIssues.has(issue.code));
    return { error: new Problem(isShapeRight ? "invalid_value" : "invalid_request", { errors }) };
  };
};

/** Issues of a value that has the right type. */
const valueIssues: ReadonlySet<z.core.$ZodIssue["code"]> = new Set([
  "too_big",
  "too_small",
  "invalid_format",
  "not_multiple_of",
  "invalid_value",
  "custom",
]);

interface Place {
  schema: z.ZodType;
  given: unknown;
  part: string;
}

function toFieldErrors(issue: z.core.$ZodIssue, { schema, given, part }: Place): FieldError[] {
  const field = issue.path.join(".") || part;
  if (issue.code === "unrecognized_keys") {
    const known = knownFields(schema, issue.path);
    return issue.keys.map((key) => toUnknownField([...issue.path, key].join("."), closestName(key, known), known));
  }
  const value = valueAt(given, issue.path);
  if (issue.code === "invalid_type") {
    const expected = expectedType(issue);
    return [{ field, message: value === undefined ? "is missing" : `must be ${expected}`, ...shown(field, value), expected }];
  }
  const expected = issue.code === "invalid_value" ? { expected: issue.values.map(String) } : {};
  const message =
    issue.code === "invalid_value" ? `must be one of ${issue.values.map((known) => `"${String(known)}"`).join(", ")}` : issue.message;
  return [{ field, message, ...shown(field, value), ...expected }];
}

function toUnknownField(field: string, suggestion: string | undefined, known: readonly string[]): FieldError {
  const hint = suggestion === undefined ? `; known are ${known.join(", ") || "none"}` : `; did you mean "${suggestion}"?`;
  return { field, message: `is not a field that this route knows${hint}`, ...(suggestion === undefined ? {} : { expected: suggestion }) };
}

function expectedType(issue: z.core.$ZodIssueInvalidType): string {
  const names: Partial<Record<string, string>> = {
    record: "an object",
    object: "an object",
    array: "a list",
    int: "a whole number",
    string: "a text",
    boolean: "true or false",
  };
  return names[issue.expected] ?? `a ${issue.expected}`;
}

/** The value as it was given, unless it is secret, or too large to be of use. */
function shown(field: string, value: unknown): { value?: unknown } {
  const isScalar =
    value === null || typeof value === "number" || typeof value === "boolean" || (typeof value === "string" && value.length <= 200);
  return isScalar && !secretFields.has(field.split(".")[0] ?? "") ? { value } : {};
}

function valueAt(given: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined),
    given,
  );
}

function knownFields(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const at = path.reduce<unknown>((outer, key) => fieldsOf(outer)[String(key)], schema);
  return Object.keys(fieldsOf(at));
}

function fieldsOf(schema: unknown): Readonly<Record<string, unknown>> {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) inner = inner.unwrap();
  return inner instanceof z.ZodObject ? inner.shape : {};
}
