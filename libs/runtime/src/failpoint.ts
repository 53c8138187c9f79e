/**
 * Named places at which a test stops a real process, to kill it exactly there (rules F1, F4). `DOWNBEAT_FAILPOINT=name` or `name:n` (stop at the
 * n-th passage) arms one; the process then prints `failpoint <name>` and waits for ever. Without the variable a passage costs one comparison.
 */
export type FailpointName =
  | "dispatcher.claim-locked"
  | "dispatcher.claim-committed"
  | "dispatcher.message-batch-sent"
  | "dispatcher.sent-before-mark"
  | "executor.leased"
  | "executor.called-before-record"
  | "executor.recorded-before-delete";

const [armedName, armedPassage = "1"] = (process.env["DOWNBEAT_FAILPOINT"] ?? "").split(":");
let passages = 0;

export async function failpoint(name: FailpointName): Promise<void> {
  if (armedName !== name) return;
  passages += 1;
  if (passages < Number(armedPassage)) return;
  process.stdout.write(`failpoint ${name}\n`);
  await new Promise<never>(() => setInterval(() => {}, 2 ** 30));
}
