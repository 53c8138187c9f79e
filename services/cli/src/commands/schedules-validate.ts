import { Command } from "commander";
import { type Cli, printJson } from "../cli.ts";
import { Failure } from "../failure.ts";
import { formatInstant } from "../format-instant.ts";
import { addRuleOptions, type RuleOptions, toQuery } from "../rule-options.ts";

export function schedulesValidate(cli: Cli): Command {
  return addRuleOptions(new Command("validate").description("Check a rule, without a server: exit code 0 when a schedule could have it"))
    .option("--json", "print JSON")
    .action(async (options: RuleOptions & { json?: boolean }) => {
      const { answerPreview } = await import("../preview-query.ts");
      const answer = answerPreview({ ...toQuery(options), count: 1 }, Date.now());
      const [first] = answer.ok ? answer.preview.occurrences : [];
      const firstAt = first === undefined ? null : new Date(first.at).toISOString();
      if (options.json)
        printJson(cli, {
          valid: answer.ok,
          errors: answer.ok ? [] : answer.problems,
          first_at: firstAt,
          warnings: answer.ok ? answer.warnings() : [],
        });
      if (!answer.ok) throw new Failure(answer.problems.join("\n"));
      if (options.json) return;
      const { rule } = answer.timing;
      cli.print(`valid${rule.kind === "cron" ? `: ${rule.cronExpression} in ${rule.timezone}` : ""}; first at ${formatInstant(firstAt)}`);
      for (const text of answer.warnings()) cli.print(`clock change: ${text}`);
    });
}
