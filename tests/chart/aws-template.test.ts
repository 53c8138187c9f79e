import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { chartFolder, runHelm } from "../../scripts/chart/render.ts";
import { type Attributes, attributesOfCreatedQueues } from "./created-queues.ts";
import { onAws } from "./render-chart.ts";

/** The stack of deploy/aws, the local init script and the chart's notes say the same as the code that uses the queue. */

interface Template {
  Resources: Record<string, { Type: string; Condition?: string; Properties: Record<string, any> }>;
  Outputs: { HelmValues: { Value: [condition: string, withRoles: string, withoutRoles: string] } };
}

const read = (path: string) => readFile(fileURLToPath(new URL(`../../${path}`, import.meta.url)), "utf8");
// CloudFormation's tags (`!Sub`, `!GetAtt`) are read as what they stand before.
const { Resources: resources, Outputs: outputs } = parse(await read("deploy/aws/downbeat.yaml"), { logLevel: "silent" }) as Template;

function properties(name: string): Record<string, any> {
  const found = resources[name];
  if (found === undefined) throw new Error(`the template has no resource ${name}`);
  return found.Properties;
}

const roles = [
  { role: "Dispatcher", serviceAccount: "schedule-dispatcher" },
  { role: "Executor", serviceAccount: "schedule-executor" },
  { role: "Api", serviceAccount: "downbeat-api" },
];

describe("the queues", () => {
  let created: { queue: Attributes; deadLetterQueue: Attributes };
  beforeAll(async () => {
    created = await attributesOfCreatedQueues("downbeat-runs");
  });

  test("of the stack have the settings of `downbeat queue create`", () => {
    const { RedrivePolicy: redrive } = created.queue;
    expect(properties("Queue")).toMatchObject({
      VisibilityTimeout: Number(created.queue["VisibilityTimeout"]),
      MessageRetentionPeriod: Number(created.queue["MessageRetentionPeriod"]),
      RedrivePolicy: { deadLetterTargetArn: "DeadLetterQueue.Arn", maxReceiveCount: JSON.parse(redrive ?? "").maxReceiveCount },
    });
    expect(properties("DeadLetterQueue")).toMatchObject({
      QueueName: "${QueueName}-dlq",
      MessageRetentionPeriod: Number(created.deadLetterQueue["MessageRetentionPeriod"]),
    });
  });

  test("of the local init script have them too", async () => {
    const script = await read("localstack/init/ready.d/01-create-queues.sh");
    const setting = (name: string) => new RegExp(`^${name}=(\\d+)$`, "m").exec(script)?.[1];
    expect(setting("visibility_seconds")).toBe(created.queue["VisibilityTimeout"]);
    expect(setting("retention_seconds")).toBe(created.queue["MessageRetentionPeriod"]);
    expect(setting("receives_max")).toBe(String(JSON.parse(created.queue["RedrivePolicy"] ?? "").maxReceiveCount));
  });

  test.each(["Queue", "DeadLetterQueue"])("%s is encrypted, and refuses every request without TLS", (name) => {
    expect(properties(name)["SqsManagedSseEnabled"]).toBe(true);
    const [policy, ...others] = Object.values(resources).filter(
      ({ Type, Properties }) => Type === "AWS::SQS::QueuePolicy" && Properties["Queues"].includes(name),
    );
    expect(others).toEqual([]);
    expect(policy?.Properties["PolicyDocument"].Statement).toEqual([
      expect.objectContaining({
        Effect: "Deny",
        Principal: "*",
        Action: "sqs:*",
        Resource: `${name}.Arn`,
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      }),
    ]);
  });
});

describe("the identities", () => {
  test("may do what the chart's notes say, and nothing else", async () => {
    const notes = await runHelm(["install", "downbeat", chartFolder, "--dry-run=client", "--values", "-"], JSON.stringify(onAws));
    const arns: Record<string, string> = {
      "Queue.Arn": "arn:aws:sqs:eu-west-1:123456789012:downbeat-runs",
      "DeadLetterQueue.Arn": "arn:aws:sqs:eu-west-1:123456789012:downbeat-runs-dlq",
    };
    for (const { role, serviceAccount } of roles) {
      const document = properties(`${role}Policy`)["PolicyDocument"];
      const told = new RegExp(`^ +${serviceAccount}(?: \\(.*\\))?\\n((?: {4,}.*\\n)+)`, "m").exec(notes)?.[1] ?? "{}";
      expect(JSON.parse(told)).toEqual({
        Version: document.Version,
        Statement: document.Statement.map((statement: { Resource: string[] }) => ({
          ...statement,
          Resource: statement.Resource.map((resource) => arns[resource]),
        })),
      });
    }
  });

  test.each(roles)("of $serviceAccount can be taken by that service account only, by IRSA or Pod Identity", ({ role, serviceAccount }) => {
    const { AssumeRolePolicyDocument: trust, ManagedPolicyArns: policies } = properties(`${role}Role`);
    expect(policies).toEqual([`${role}Policy`]);
    const [condition, [irsa], podIdentity] = trust;
    expect(condition).toBe("HasOidcProvider");
    const filled = (irsa as string)
      .replaceAll("${OidcProviderArn}", "arn")
      .replaceAll("${Issuer}", "issuer")
      .replaceAll("${Namespace}", "ns");
    expect(JSON.parse(filled).Statement).toEqual([
      {
        Effect: "Allow",
        Principal: { Federated: "arn" },
        Action: "sts:AssumeRoleWithWebIdentity",
        Condition: { StringEquals: { "issuer:sub": `system:serviceaccount:ns:${serviceAccount}`, "issuer:aud": "sts.amazonaws.com" } },
      },
    ]);
    expect(podIdentity.Statement).toEqual([
      {
        Effect: "Allow",
        Principal: { Service: "pods.eks.amazonaws.com" },
        Action: ["sts:AssumeRole", "sts:TagSession"],
        Condition: {
          StringEquals: {
            "aws:RequestTag/eks-cluster-arn": expect.stringContaining(":cluster/${ClusterName}"),
            "aws:RequestTag/kubernetes-namespace": "Namespace",
            "aws:RequestTag/kubernetes-service-account": serviceAccount,
          },
        },
      },
    ]);
    expect(properties(`${role}Identity`)).toMatchObject({ ServiceAccount: serviceAccount, RoleArn: `${role}Role.Arn` });
  });

  test("the values in the stack's output are taken by the chart, and reach the service accounts", async () => {
    const [, withRoles] = outputs.HelmValues.Value;
    const filled = withRoles
      .replaceAll("${Queue}", onAws.queue.url)
      .replaceAll("${AWS::Region}", "eu-west-1")
      .replaceAll(/\$\{(\w+)Role\.Arn\}/g, "arn:aws:iam::123456789012:role/$1");
    const given = { ...onAws, ...(parse(filled) as object) };
    const accounts = await runHelm(["template", "downbeat", chartFolder, "--values", "-"], JSON.stringify(given));
    for (const { role, serviceAccount } of roles) {
      const account = accounts
        .split(/^---$/m)
        .find((text) => text.includes("kind: ServiceAccount") && text.includes(`name: ${serviceAccount}\n`));
      expect(account).toContain(`eks.amazonaws.com/role-arn: arn:aws:iam::123456789012:role/${role}`);
    }
  });
});
