/**
 * What an error says of the schema, where it says that the database lacks something this program was written for: nothing was migrated yet, or not to this version. Both are ordinary
 * while a deploy starts processes beside its migration, and waiting mends them. Undefined for every other error.
 */
export function describeSchemaBehind(error: unknown): string | undefined {
  const { code, message } = (typeof error === "object" && error !== null ? error : {}) as { code?: unknown; message?: unknown };
  if (typeof code !== "string" || typeof message !== "string") return undefined;
  if (code === "3F000" || (code === "22023" && missingRole.test(message)))
    return `the schema is not there yet (${message}): waiting for \`downbeat migrate\``;
  if (code === "42P01") return `the schema is not there yet or older than this program (${message}): waiting for \`downbeat migrate\``;
  if (undefinedNames.has(code)) return `the schema is older than this program (${message}): waiting for \`downbeat migrate\``;
  return undefined;
}

/** What a connection that takes on a role gets where no migration has made it; older servers only name the parameter. */
const missingRole = /^role "downbeat_\w+" does not exist$|^invalid value for parameter "role"/;

const undefinedNames = new Set([
  "42703", // undefined_column
  "42883", // undefined_function
  "42704", // undefined_object: a type, a role
]);
