import { SQSClient } from "@aws-sdk/client-sqs";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";

export type QueueClient = SQSClient;

export interface QueueClientOptions {
  region: string;
  /** Only for servers other than AWS's own. */
  endpoint?: string;
  /** Requests that may be open at once: sends or deletes in flight plus the waiting long polls. */
  socketsMax: number;
}

/**
 * The AWS SDK's client, set up for batches: connections are kept, and body checksums (MD5) are left to TLS, which measured a third less CPU for each send.
 * Credentials come from the SDK's ordinary chain (role, environment); servers other than AWS get a placeholder when none are set, because the
 * SDK insists on signing.
 */
export function createQueueClient({ region, endpoint, socketsMax }: QueueClientOptions): QueueClient {
  const agentOptions = { keepAlive: true, maxSockets: socketsMax };
  const hasCredentials = process.env["AWS_ACCESS_KEY_ID"] !== undefined;
  return new SQSClient({
    region,
    md5: false,
    // Callers back off themselves, with one log line per step; the SDK's own quick retry only smooths over a single lost packet.
    maxAttempts: 2,
    requestHandler: new NodeHttpHandler({
      httpAgent: new HttpAgent(agentOptions),
      httpsAgent: new HttpsAgent(agentOptions),
      connectionTimeout: 3_000,
      // Longer than the longest long poll (20 s).
      requestTimeout: 30_000,
    }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(endpoint === undefined || hasCredentials ? {} : { credentials: { accessKeyId: "local", secretAccessKey: "local" } }),
  });
}
