import { runProcess } from "@downbeat/runtime/lifecycle.ts";
import { createLog } from "@downbeat/runtime/log.ts";
import { readProcessConfig } from "@downbeat/runtime/process-config.ts";
import { executorConfig } from "./config.ts";
import { runExecutor } from "./run.ts";

const config = readProcessConfig(executorConfig);
const log = createLog("executor", config.LOG_LEVEL);
await runProcess(() => runExecutor(config, { log }), { log, shutdownMs: (config.DRAIN_SECONDS + 5) * 1_000 });
