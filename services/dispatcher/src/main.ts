import { readProcessConfig } from "@downbeat/runtime/process-config.ts";
import { runProcess } from "@downbeat/runtime/lifecycle.ts";
import { createLog } from "@downbeat/runtime/log.ts";
import { dispatcherConfig } from "./config.ts";
import { runDispatcher } from "./run.ts";

const config = readProcessConfig(dispatcherConfig);
const log = createLog("dispatcher", config.LOG_LEVEL);
await runProcess(() => runDispatcher(config, { log }), { log, shutdownMs: 30_000 });
