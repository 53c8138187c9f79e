import { chmod, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

/** Where AWS hands out credentials: its STS, its container agent and its instance metadata, on loopback. The keys are worth nothing. */
export interface CredentialSources {
  /** What a process finds in its environment where it gets its credentials this way. */
  readonly variables: Record<CredentialSource, Record<string, string>>;
  /** What it asks then. */
  readonly questions: Record<CredentialSource, string[]>;
  readonly asked: string[];
  close(): Promise<void>;
}

export type CredentialSource = "environment" | "web identity (IRSA)" | "container (Pod Identity, ECS)" | "instance (IMDS)";

const role = "arn:aws:iam::000000000000:role/downbeat";
const expiration = "2100-01-01T00:00:00Z";
const keys = { AccessKeyId: "AKIAEXAMPLE", SecretAccessKey: "example", Token: "example", Expiration: expiration };

const answers: Record<string, string> = {
  "POST /": `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>
    <AccessKeyId>AKIAEXAMPLE</AccessKeyId><SecretAccessKey>example</SecretAccessKey><SessionToken>example</SessionToken><Expiration>${expiration}</Expiration>
    </Credentials><AssumedRoleUser><Arn>${role}</Arn><AssumedRoleId>example</AssumedRoleId></AssumedRoleUser></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
  "GET /v1/credentials": JSON.stringify(keys),
  "PUT /latest/api/token": "token",
  "GET /latest/meta-data/iam/security-credentials/": "downbeat",
  "GET /latest/meta-data/iam/security-credentials/downbeat": JSON.stringify({
    Code: "Success",
    Type: "AWS-HMAC",
    LastUpdated: expiration,
    ...keys,
  }),
};

/** `folder` takes the token file, where the process under test can read it. */
export async function startCredentialSources(folder: string): Promise<CredentialSources> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const question = `${request.method} ${request.url}`;
    asked.push(question);
    const answer = answers[question];
    const headers = question.startsWith("PUT") ? { "x-aws-ec2-metadata-token-ttl-seconds": "21600" } : {};
    response.writeHead(answer === undefined ? 404 : 200, headers).end(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const tokenFile = join(folder, "token");
  await writeFile(tokenFile, "token");
  // The process may be another user.
  await chmod(folder, 0o755);
  return {
    variables: {
      environment: { AWS_ACCESS_KEY_ID: "AKIAEXAMPLE", AWS_SECRET_ACCESS_KEY: "example" },
      "web identity (IRSA)": { AWS_ROLE_ARN: role, AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_ENDPOINT_URL_STS: url },
      "container (Pod Identity, ECS)": {
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/v1/credentials`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile,
      },
      "instance (IMDS)": { AWS_EC2_METADATA_SERVICE_ENDPOINT: url },
    },
    questions: {
      environment: [],
      "web identity (IRSA)": ["POST /"],
      "container (Pod Identity, ECS)": ["GET /v1/credentials"],
      "instance (IMDS)": [
        "PUT /latest/api/token",
        "GET /latest/meta-data/iam/security-credentials/",
        "GET /latest/meta-data/iam/security-credentials/downbeat",
      ],
    },
    asked,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
