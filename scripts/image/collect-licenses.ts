import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Metafile } from "esbuild";

interface Package {
  name: string;
  version: string;
  license?: string;
}

/**
 * The licences of all packages whose code is in a bundle, with their texts: what they ask of whoever passes their code on, and what a scan of an image without `node_modules` would
 * otherwise not find. `root` is what the paths in the metafile start from.
 */
export async function collectLicenses(metafile: Metafile, root: string): Promise<string> {
  const folders = new Set(Object.keys(metafile.inputs).flatMap((input) => packageFolder(input) ?? []));
  const sections = await Promise.all([...folders].sort().map((folder) => describe(join(root, folder))));
  return sections.join(`\n${"-".repeat(80)}\n\n`);
}

/** `node_modules/@aws-sdk/core` for a file below it; undefined for our own. The last one counts, where packages lie in packages. */
function packageFolder(input: string): string | undefined {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
}

async function describe(folder: string): Promise<string> {
  const { name, version, license = "no licence named" } = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as Package;
  const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file)).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
  return [`${name} ${version} (${license})\n`, ...texts.map((text) => `${text.trim()}\n`)].join("\n");
}
