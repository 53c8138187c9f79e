/** Stands in for `services/cli/src/commands/dev.ts` where the program is bundled for an image. */
import type { Cli } from "../../services/cli/src/cli.ts";
import { Failure } from "../../services/cli/src/failure.ts";
import { Command } from "commander";

export function devCommand(_cli: Cli): Command {
  return new Command("dev")
    .description("Not in this image: run it in a clone, whose packages bring a Postgres and a queue server")
    .allowUnknownOption()
    .allowExcessArguments()
    .action(() => {
      throw new Failure(
        "`downbeat dev` is not in this image: its Postgres and queue server come with the packages of a clone. Run `make dev` there",
      );
    });
}
