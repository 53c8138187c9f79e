/**
 * Makes what the container images run: the services and the command line as JavaScript that needs no `node_modules`, laid out as in `/app` (decision 0010).
 *
 *     node scripts/bundle.ts FOLDER
 *
 * writes `FOLDER/lib/{dispatcher,executor,api,downbeat}.js` with the chunks they share, and `FOLDER/migrations/`, where the store looks for them: one folder up from its code.
 */
import { cp, mkdir, rm, writeFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type BuildResult, type Plugin } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

const entryPoints = {
  dispatcher: join(root, "services/dispatcher/src/main.ts"),
  executor: join(root, "services/executor/src/main.ts"),
  api: join(root, "services/api/src/main.ts"),
  downbeat: join(root, "services/cli/src/main.ts"),
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
  return build({
    absWorkingDir: root,
    entryPoints,
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
    legalComments: "linked",
    banner: { js: requireForCommonJs },
    plugins: [withoutDev, builtinsAsNeeded],
    metafile: true,
    logLevel: "warning",
  });
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
