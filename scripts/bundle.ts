/**
 * Makes what the container images run: the services and the command line as JavaScript that needs no `node_modules`, laid out as in `/app` (decision 0010).
 *
 *     node scripts/bundle.ts FOLDER
 *
 * writes `FOLDER/lib/{dispatcher,executor,api,downbeat}.js` with the chunks they share, and `FOLDER/migrations/`, where the store looks for them: one folder up from its code, and
 * `FOLDER/THIRD-PARTY-LICENSES.txt`.
 */
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { collectLicenses } from "./image/collect-licenses.ts";
import { build, type BuildResult, type Plugin } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Each entry's program, and the exit code of one that is told to stop before it can listen. A service has nothing to finish then; a command has not done what it was asked. */
const programs: Record<string, { main: string; exitCodeOf: string }> = {
  dispatcher: { main: "services/dispatcher/src/main.ts", exitCodeOf: "() => 0" },
  executor: { main: "services/executor/src/main.ts", exitCodeOf: "() => 0" },
  api: { main: "services/api/src/main.ts", exitCodeOf: "() => 0" },
  downbeat: { main: "services/cli/src/main.ts", exitCodeOf: "(signalNumber) => 128 + signalNumber" },
};

/** Entries listen for signals first and load their program then. */
const entries: Plugin = {
  name: "entries",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /./ }, ({ path, kind }) => (kind === "entry-point" ? { path, namespace: "entry" } : undefined));
    onLoad({ filter: /./, namespace: "entry" }, ({ path }) => {
      const { main, exitCodeOf } = programs[path] ?? {};
      return {
        contents: `import { heedSignals } from "./scripts/image/heed-signals.ts"; heedSignals(${exitCodeOf}); await import("./${main}");`,
        resolveDir: root,
      };
    });
  },
};

/** `downbeat dev` starts a Postgres and a queue server that come with a clone's packages. In the image it says so. */
const withoutDev: Plugin = {
  name: "without downbeat dev",
  setup({ onResolve }) {
    onResolve({ filter: /\/commands\/dev\.ts$/ }, () => ({ path: join(root, "scripts/image/dev-command.ts") }));
  },
};

/**
 * Takes Node's own modules without `import`. An import of `node:http` or `node:crypto` reads every name it exports, and some of those load half of Node only when read: `http.WebSocket`
 * brings Node's fetch. It was a sixth of a dispatcher's start.
 */
const builtinsAsNeeded: Plugin = {
  name: "Node's own modules as needed",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?[a-z_/]+$/ }, ({ path, kind }) =>
      kind === "import-statement" && isBuiltin(path) ? { path, namespace: "builtin" } : undefined,
    );
    onLoad({ filter: /^/, namespace: "builtin" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  },
};

/** CommonJS dependencies ask for Node's own modules with `require`, which an ES module does not have. */
const requireForCommonJs =
  'import { createRequire as createRequireOfNode } from "node:module"; const require = createRequireOfNode(import.meta.url);';

/** Writes both folders below `folder`; what stood there is replaced. */
export async function bundle(folder: string): Promise<BuildResult<{ metafile: true }>> {
  const place = resolve(folder);
  const lib = join(place, "lib");
  const migrations = join(place, "migrations");
  await rm(lib, { recursive: true, force: true });
  await rm(migrations, { recursive: true, force: true });
  await mkdir(lib, { recursive: true });
  // Otherwise Node reads each file as CommonJS first and again when it finds an import in it.
  await writeFile(join(lib, "package.json"), '{ "type": "module" }\n');
  await cp(join(root, "libs/store/migrations"), migrations, { recursive: true });
  const result = await build({
    absWorkingDir: root,
    entryPoints: Object.keys(programs).map((name) => ({ in: name, out: name })),
    outdir: lib,
    bundle: true,
    splitting: true,
    // Flat: a chunk finds `../migrations/` from wherever the store's code ended up.
    chunkNames: "[name]-[hash]",
    format: "esm",
    platform: "node",
    target: "node24",
    // Packages that offer both are taken as ES modules: their unused parts fall away.
    mainFields: ["module", "main"],
    // In one file with all the rest.
    legalComments: "none",
    banner: { js: requireForCommonJs },
    plugins: [entries, withoutDev, builtinsAsNeeded],
    metafile: true,
    logLevel: "warning",
  });
  await writeFile(join(place, "THIRD-PARTY-LICENSES.txt"), await collectLicenses(result.metafile, root));
  return result;
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) {
    process.stderr.write("usage: node scripts/bundle.ts FOLDER\n");
    process.exit(2);
  }
  const { metafile } = await bundle(folder);
  const bytes = Object.values(metafile.outputs).reduce((sum, output) => sum + output.bytes, 0);
  process.stdout.write(`${Object.keys(metafile.outputs).length} files, ${Math.round(bytes / 1024)} KiB\n`);
}
