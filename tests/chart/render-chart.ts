/** Renderings of the chart for tests, each made once per test file, and the ways tests look things up in them. */
import { readFile } from "node:fs/promises";
import { chartFolder, listCiFiles, renderChart, type Manifest } from "../../scripts/chart/render.ts";
import { containersOf, podOf, type Container, type PodTemplate } from "../../scripts/chart/pods-of.ts";

/** The least that an installation on AWS names: where Postgres is and which queue. */
export const onAws = {
  database: { existingSecret: { name: "postgres-logins", key: "url" } },
  queue: { url: "https://sqs.eu-west-1.amazonaws.com/123456789012/downbeat-runs" },
};

/** Everything in the namespace, nothing outside. */
export const bundled = { database: { bundled: true }, queue: { bundled: true } };

const rendered = new Map<string, Promise<Rendering>>();

/** The chart with these values above its own. */
export function render(values: object): Promise<Rendering> {
  return once(JSON.stringify(values), () => renderChart({ values }));
}

/** The chart with each of its `ci/` files, by the file's name. `brings` tells what the installation has of its own: the names that its values speak of. */
export async function renderCiFiles(): Promise<{ name: string; rendering: Rendering; brings: (name: string) => boolean }[]> {
  const files = await listCiFiles();
  return Promise.all(
    files.map(async ({ name, path }) => {
      const text = await readFile(path, "utf8");
      return { name, rendering: await once(path, () => renderChart({ valuesFiles: [path] })), brings: (brought) => text.includes(brought) };
    }),
  );
}

/** Where one of the chart's own files is. */
export function chartFile(path: string): string {
  return `${chartFolder}/${path}`;
}

function once(key: string, renderIt: () => Promise<Manifest[]>): Promise<Rendering> {
  const known = rendered.get(key) ?? renderIt().then((manifests) => new Rendering(manifests));
  rendered.set(key, known);
  return known;
}

/** Manifests of one installation. Fields are read as `any`, as Kubernetes' objects are deep and a wrong path fails the test that walks it. */
export class Rendering {
  readonly manifests: readonly Manifest[];

  constructor(manifests: readonly Manifest[]) {
    this.manifests = manifests;
  }

  /** `CronJob schedule-dispatcher`, sorted. */
  get names(): string[] {
    return this.manifests.map(({ kind, metadata }) => `${kind} ${metadata.name}`).sort();
  }

  all(kind: string): any[] {
    return this.manifests.filter((manifest) => manifest.kind === kind);
  }

  /** The one object of this kind and name; fails when it is not there. */
  one(kind: string, name: string): any {
    const found = this.all(kind).find(({ metadata }) => metadata.name === name);
    if (found === undefined) throw new Error(`${kind} ${name} is not rendered; there are: ${this.names.join(", ")}`);
    return found;
  }

  has(kind: string, name: string): boolean {
    return this.names.includes(`${kind} ${name}`);
  }

  /** Every pod template with the name of the object that makes it. */
  get pods(): { owner: string; pod: PodTemplate }[] {
    return this.manifests.flatMap((manifest) => {
      const pod = podOf(manifest);
      return pod === undefined ? [] : [{ owner: `${manifest.kind} ${manifest.metadata.name}`, pod }];
    });
  }

  pod(app: string): PodTemplate {
    const found = this.pods.find(({ pod }) => pod.metadata?.labels?.["app"] === app);
    if (found === undefined) throw new Error(`no pod has the label app: ${app}`);
    return found.pod;
  }

  /** The only or first container of a role's pods. */
  container(app: string): Container {
    const [container] = this.pod(app).spec?.containers ?? [];
    if (container === undefined) throw new Error(`${app} has no container`);
    return container;
  }

  /** Variables as the container will see them, ConfigMaps resolved; a value from a Secret reads `secret name/key`. */
  env(app: string): Record<string, string> {
    const { env = [], envFrom = [] } = this.container(app);
    // A ConfigMap that the installation brings is not rendered, and its variables are its own affair.
    const shared = envFrom.flatMap(({ configMapRef: { name } = { name: "" } }) =>
      this.has("ConfigMap", name) ? Object.entries(this.one("ConfigMap", name).data) : [],
    );
    const own = env.map(({ name, value, valueFrom }) => [
      name,
      value ?? `secret ${valueFrom?.["secretKeyRef"]?.name}/${valueFrom?.["secretKeyRef"]?.key}`,
    ]);
    return Object.fromEntries([...shared, ...own]) as Record<string, string>;
  }

  get containers(): { owner: string; container: Container }[] {
    return this.pods.flatMap(({ owner, pod }) => containersOf(pod).map((container) => ({ owner, container })));
  }
}

/** Whether a selector picks these labels. An empty one picks everything. */
export function isSelected(selector: Selector, labels: Record<string, string> = {}): boolean {
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    (selector.matchExpressions ?? []).every(({ key, operator, values }) => {
      if (operator !== "In") throw new Error(`the operator ${operator} is not read here`);
      return values.includes(labels[key] ?? "");
    })
  );
}

export interface Selector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values: string[] }[];
}
