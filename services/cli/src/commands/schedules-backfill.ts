import { systemClock } from "@downbeat/runtime/clock.ts";
import { every } from "@downbeat/runtime/every.ts";
import { Command, InvalidArgumentError, Option } from "commander";
import type { ApiClient } from "../api-client.ts";
import type { Backfill, BackfillPlan } from "../api-answers.ts";
import { type Cli, connectApi, printJson } from "../cli.ts";
import { count, describePlan, describeProgress } from "../describe-backfill.ts";
import { Failure, wrongUsage } from "../failure.ts";
import { confirm, isInteractive, ProgressLine } from "../terminal.ts";
import { BackfillWatcher, shareDone } from "../watch-backfill.ts";

interface BackfillOptions {
  from: string;
  to?: string;
  concurrency?: number;
  plan?: boolean;
  yes?: boolean;
  wait?: boolean;
  tenant?: string;
  json?: boolean;
}

const lookIntervalMs = 1_000;

export function schedulesBackfill(cli: Cli): Command {
  return new Command("backfill")
    .description("Run the occurrences of a past stretch that have not succeeded: shows the plan, then asks")
    .argument("<schedule>", "name or id")
    .requiredOption("--from <instant>", "occurrences after this instant, with an offset: 2026-03-08T00:00:00Z")
    .option("--to <instant>", "occurrences up to and including this instant (default: now)")
    .option("--concurrency <count>", "most of its runs under way at once, 1 to 100 (default: 1)", readConcurrency)
    .option("--plan", "only show what would run")
    .addOption(new Option("--yes", "run it without asking").conflicts("plan"))
    .addOption(new Option("--wait", "stay until the last run has ended; exit code 1 if some failed").conflicts("plan"))
    .option("--tenant <slug>", "whose schedule, with an administrator's key")
    .option("--json", "print JSON: the backfill, or the plan where nothing is run")
    .action(async (schedule: string, options: BackfillOptions) => {
      const api = await connectApi(cli, options);
      const path = `/api/v1/schedules/${encodeURIComponent(schedule)}/backfills`;
      const plan = await api.post<BackfillPlan>(path, { ...toRequest(options), dry_run: true });
      if (options.json !== true) for (const line of describePlan(plan)) cli.print(line);
      else if (options.plan || plan.planned === 0) printJson(cli, plan);
      if (options.plan || plan.planned === 0) return;
      await agree(plan, options);
      // The end that was shown, not the "now" of a little later.
      const backfill = await api.post<Backfill>(path, { ...toRequest(options), to: plan.to });
      if (options.wait) return waitFor(cli, api, backfill, options);
      if (options.json) return printJson(cli, backfill);
      cli.print(`backfill ${backfill.id} is ${describeProgress(backfill)}; next: downbeat backfills show ${backfill.id}`);
    });
}

export function toRequest({ from, to, concurrency }: Pick<BackfillOptions, "from" | "to" | "concurrency">): Record<string, unknown> {
  return { from, ...(to === undefined ? {} : { to }), ...(concurrency === undefined ? {} : { concurrency }) };
}

async function agree({ planned }: BackfillPlan, { yes }: BackfillOptions): Promise<void> {
  if (yes) return;
  if (!isInteractive())
    throw wrongUsage(`nothing was run: add --yes to run ${count(planned, "occurrence")}, or --plan to see only the plan`);
  if (!(await confirm(`run ${count(planned, "occurrence")}?`))) throw new Failure("nothing was run");
}

async function waitFor(cli: Cli, api: ApiClient, started: Backfill, { json }: BackfillOptions): Promise<void> {
  const progress = new ProgressLine();
  const watcher = new BackfillWatcher({
    api,
    backfillId: started.id,
    clock: systemClock,
    onProgress: (line, backfill) => progress.show(line, shareDone(backfill)),
    onRemark: (line) => cli.remark(line),
  });
  const finished = await untilFinished(watcher);
  progress.end();
  if (json) printJson(cli, finished);
  else cli.print(`backfill ${finished.id} is ${describeProgress(finished)}`);
  const { failed, planned, schedule, state } = finished;
  if (failed > 0)
    throw new Failure(`${failed} of ${count(planned, "run")} failed; see: downbeat runs list --schedule ${schedule.id} --state failed`);
  if (state === "canceled") throw new Failure("the backfill was canceled before it had run everything");
}

async function untilFinished(watcher: BackfillWatcher): Promise<Backfill> {
  const watching = new AbortController();
  let finished: Backfill | undefined;
  const look = async () => {
    finished = await watcher.look();
    if (finished !== undefined) watching.abort();
  };
  await every(lookIntervalMs, look, { clock: systemClock, signal: watching.signal });
  if (finished === undefined) throw new Error("stopped looking at a backfill that is not finished");
  return finished;
}

function readConcurrency(text: string): number {
  const concurrency = Number(text);
  if (!Number.isInteger(concurrency) || concurrency < 1) throw new InvalidArgumentError("It must be a whole number from 1 to 100.");
  return concurrency;
}
