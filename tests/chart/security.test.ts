import { expect, test } from "vitest";
import { bundled, onAws, render } from "./render-chart.ts";

const roleArn = { "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/executor" };

test("K1: an image is named by a version or a digest, and the tag latest is refused", async () => {
  const chart = await render({
    ...onAws,
    image: { registry: "registry.example:5000/team", tag: "1.2.3", api: { digest: `sha256:${"a".repeat(64)}` } },
  });
  expect(chart.container("schedule-executor").image).toBe("registry.example:5000/team/downbeat-scheduler:1.2.3");
  expect(chart.container("downbeat-api").image).toBe(`registry.example:5000/team/downbeat-api@sha256:${"a".repeat(64)}`);
  await expect(render({ ...onAws, image: { tag: "latest" } })).rejects.toThrow("latest");
});

test("K3: an installation on AWS knows no AWS key", async () => {
  expect(JSON.stringify((await render(onAws)).manifests)).not.toMatch(/AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN)/);
});

test("K3: each role has a service account of its own, so that each gets its own rights on the queue", async () => {
  const chart = await render({ ...onAws, executor: { serviceAccountAnnotations: roleArn } });
  for (const app of ["schedule-dispatcher", "schedule-executor", "downbeat-api"]) expect(chart.pod(app).spec?.serviceAccountName).toBe(app);
  const annotations = chart.all("ServiceAccount").map(({ metadata }) => [metadata.name, metadata.annotations]);
  expect(Object.fromEntries(annotations)).toEqual({
    "schedule-dispatcher": undefined,
    "schedule-executor": roleArn,
    "downbeat-api": undefined,
  });
  for (const account of chart.all("ServiceAccount")) expect(account.automountServiceAccountToken).toBe(false);
});

test("Secrets that an installation brings are used by name, and none is made beside them", async () => {
  const chart = await render({ ...onAws, secretKeys: { existingSecret: { name: "ring", key: "keys" } } });
  expect(chart.all("Secret")).toEqual([]);
  expect(chart.env("schedule-executor")).toMatchObject({
    DATABASE_URL: "secret postgres-logins/url",
    DOWNBEAT_SECRET_KEYS: "secret ring/keys",
  });
});

test("A given key ring and given connections go into the Secret as they are, each role its own", async () => {
  const ring = `k2:${Buffer.alloc(32, 1).toString("base64")}`;
  const urls = { dispatcher: "postgres://d:p@db/downbeat", migrate: "postgres://m:p@db/downbeat" };
  const chart = await render({ queue: onAws.queue, secretKeys: { value: ring }, database: { url: "postgres://all:p@db/downbeat", urls } });
  const { data } = chart.one("Secret", "downbeat-secrets");
  expect([data["secret-keys"], data["dispatcher-database-url"], data["executor-database-url"]].map((value) => atob(value))).toEqual([
    ring,
    urls.dispatcher,
    "postgres://all:p@db/downbeat",
  ]);
});

// That an upgrade keeps what was generated needs a cluster to keep it in: tests/e2e.
test("Generated secrets are new in each installation, well formed, and stand nowhere but in their Secret", async () => {
  const first = await render({ ...bundled, commonLabels: { installation: "first" } });
  const second = await render({ ...bundled, commonLabels: { installation: "second" } });
  const [one, other] = [first, second].map((chart) => chart.one("Secret", "downbeat-secrets").data as Record<string, string>);
  expect(atob(one?.["secret-keys"] ?? "")).toMatch(/^k1:[A-Za-z0-9+/]{43}=$/);
  expect(one?.["secret-keys"]).not.toBe(other?.["secret-keys"]);
  const password = atob(one?.["postgres-password"] ?? "");
  expect(password).toMatch(/^[A-Za-z0-9]{32}$/);
  expect(atob(one?.["executor-database-url"] ?? "")).toBe(`postgres://downbeat:${password}@postgresql:5432/downbeat`);
  const elsewhere = JSON.stringify(first.manifests.filter(({ kind }) => kind !== "Secret"));
  expect(
    [password, one?.["postgres-password"], one?.["secret-keys"]].filter((value) => value !== undefined && elsewhere.includes(value)),
  ).toEqual([]);
});
