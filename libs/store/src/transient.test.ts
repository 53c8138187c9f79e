import { expect, test } from "vitest";
import { isTransientDatabaseError, retryLostRace } from "./transient.ts";

const withCode = (code: unknown) => Object.assign(new Error("no"), { code });

test.for([
  ["the server cannot be reached", ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN", "CONNECT_TIMEOUT"]],
  ["the connection broke or was closed", ["CONNECTION_CLOSED", "CONNECTION_ENDED", "CONNECTION_DESTROYED", "08006", "08001"]],
  ["the server stops, starts or is a standby", ["57P01", "57P02", "57P03", "25006"]],
  ["the server is out of disk, memory or connections", ["53100", "53200", "53300"]],
  ["the schema is not there yet, or older than the program", ["3F000", "42P01", "42703", "42883", "42704"]],
  ["the statement was the victim of another, or of a timeout", ["40001", "40P01", "57014", "25P03"]],
] as const)("waiting can mend it when %s", ([, codes]) => {
  expect(codes.filter((code) => !isTransientDatabaseError(withCode(code)))).toEqual([]);
});

test("what waiting cannot mend is not repeated: a bug, a refused permission, a wrong password, anything that is no database error", () => {
  for (const code of ["42601", "42501", "23505", "22021", "28P01", "3D000", "0A000", "ERR_INVALID_ARG_TYPE", 53100, undefined, ""]) {
    expect([code, isTransientDatabaseError(withCode(code))]).toEqual([code, false]);
  }
  for (const thrown of [undefined, null, "53100", new TypeError("bug")]) expect(isTransientDatabaseError(thrown)).toBe(false);
});

/** Fails with each code in turn, then succeeds; answers how often it was called. */
async function triesUntil(codes: readonly string[]): Promise<number> {
  let tries = 0;
  return retryLostRace(async () => {
    const code = codes[tries];
    tries += 1;
    if (code !== undefined) throw withCode(code);
    return tries;
  });
}

test("the victim of a deadlock or of a serialization failure goes again at once, twice", async () => {
  expect(await triesUntil([])).toBe(1);
  expect(await triesUntil(["40P01", "40001"])).toBe(3);
  await expect(triesUntil(["40P01", "40P01", "40P01"])).rejects.toMatchObject({ code: "40P01" });
});

test("no other failure is repeated at once: the server may be away, or may have written", async () => {
  for (const code of ["57P01", "CONNECTION_CLOSED", "23505"]) await expect(triesUntil([code])).rejects.toMatchObject({ code });
});
