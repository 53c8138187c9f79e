import { readFile, writeFile } from "node:fs/promises";
import { openApiDocument } from "./openapi.ts";

/** Writes docs/openapi.json from the routes; with `--check`, exits 1 when the file is not what it would write. */
const file = new URL("../../../docs/openapi.json", import.meta.url);
const wanted = `${JSON.stringify(await openApiDocument(), null, 2)}\n`;

if (process.argv.includes("--check")) {
  const found = await readFile(file, "utf8").catch(() => "");
  if (found !== wanted) {
    process.stderr.write("docs/openapi.json does not match the routes. Run: node services/api/src/write-openapi.ts\n");
    process.exitCode = 1;
  }
} else {
  await writeFile(file, wanted);
}
