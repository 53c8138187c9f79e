import { runProcess } from "@downbeat/runtime/lifecycle.ts";
import { createLog } from "@downbeat/runtime/log.ts";
import { readProcessConfig } from "@downbeat/runtime/process-config.ts";
import { apiConfig } from "./config.ts";
import { runApi } from "./run.ts";

const config = readProcessConfig(apiConfig);
const log = createLog("api", config.LOG_LEVEL);
await runProcess(() => runApi(config, { log }), { log, shutdownMs: 15_000 });
