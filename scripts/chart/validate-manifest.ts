/**
 * A manifest against the published schema of its kind: Kubernetes' own, KEDA's and the Prometheus operator's, as npm packages of compiled validators carry them.
 *
 * Those validators let unknown fields pass, as the API server does by default, and a misspelled field is exactly what a chart must not ship. But a compiled
 * validator asks an object for each field it knows and for no other. So the manifest is handed over behind a proxy that notes what was asked for: a field that
 * nobody asked for does not exist in the schema.
 */
import type { Manifest } from "./render.ts";

const packageOfGroup: Readonly<Record<string, string>> = {
  "gateway.networking.k8s.io": "@kubernetes-models/gateway-api",
  "keda.sh": "@kubernetes-models/keda",
  "monitoring.coreos.com": "@kubernetes-models/prometheus-operator",
};

interface Model {
  prototype: { validate: () => void };
}

/** What is wrong, one sentence each with the field's path; empty when all is well. */
export async function validateManifest(manifest: Manifest): Promise<string[]> {
  const { apiVersion, kind } = manifest;
  const model = await importModel(apiVersion, kind);
  if (model === undefined) return [`no schema is known for ${apiVersion} ${kind}`];

  const watch = new Watch();
  const problems: string[] = [];
  try {
    model.prototype.validate.call(watch.over(manifest));
  } catch (error) {
    problems.push(...describe(error));
  }
  return [...problems, ...watch.unasked(manifest).map((path) => `${path} is not a field of ${apiVersion} ${kind}`), ...listEmpty(manifest)];
}

/** A key with nothing below it: Kubernetes reads it as absent, and in a template it is the sign of a block that was lost. */
function listEmpty(value: unknown, path = ""): string[] {
  if (value === null) return [`${path} has no value`];
  return typeof value === "object" ? Object.entries(value as object).flatMap(([key, field]) => listEmpty(field, `${path}/${key}`)) : [];
}

async function importModel(apiVersion: string, kind: string): Promise<Model | undefined> {
  const [group = ""] = apiVersion.split("/");
  const module = `${packageOfGroup[group] ?? "kubernetes-models"}/${apiVersion}/${kind}`;
  const exports = (await import(module).catch(() => ({}))) as Record<string, Model>;
  return exports[kind];
}

function describe(error: unknown): string[] {
  if (!(error instanceof Error) || !("errors" in error)) throw error;
  return (error.errors as { instancePath: string; message: string }[]).map(
    ({ instancePath, message }) => `${instancePath || "/"} ${message}`,
  );
}

class Watch {
  readonly #proxies = new WeakMap<object, object>();
  readonly #asked = new WeakMap<object, Set<PropertyKey>>();
  /** Objects whose keys were listed: maps such as labels, in which every key is allowed. */
  readonly #listed = new WeakSet<object>();

  over<T>(value: T): T {
    if (typeof value !== "object" || value === null) return value;
    const known = this.#proxies.get(value);
    if (known !== undefined) return known as T;
    const asked = new Set<PropertyKey>();
    const proxy = new Proxy(value, {
      get: (target, key) => {
        asked.add(key);
        return this.over(Reflect.get(target, key) as unknown);
      },
      ownKeys: (target) => {
        this.#listed.add(target);
        return Reflect.ownKeys(target);
      },
    });
    this.#proxies.set(value, proxy);
    this.#asked.set(value, asked);
    return proxy;
  }

  /** Paths of the fields that no validator asked for. */
  unasked(value: unknown, path = ""): string[] {
    if (typeof value !== "object" || value === null) return [];
    const asked = this.#asked.get(value);
    const isOpen = Array.isArray(value) || this.#listed.has(value);
    return Object.entries(value).flatMap(([key, field]) =>
      isOpen || asked?.has(key) === true ? this.unasked(field, `${path}/${key}`) : [`${path}/${key}`],
    );
  }
}
