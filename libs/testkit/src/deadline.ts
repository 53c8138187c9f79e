/**
 * How long a test waits for what must come, in ms: only a test that fails waits this long. `TEST_DEADLINE_MS` says otherwise where everything is slower, as with servers in containers.
 */
export const deadlineMs = Number(process.env["TEST_DEADLINE_MS"] ?? 20_000);
