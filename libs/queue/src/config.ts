import * as z from "zod";

/** The variables of every process that talks to the queue. Credentials are the AWS SDK's own business (role, environment, profile). */
export const queueConfig = z.object({
  SQS_QUEUE_URL: z.url().describe("URL of the queue between dispatcher and executors, as `downbeat queue create` prints it."),
  AWS_REGION: z.string().default("us-east-1").describe("AWS region of the queue. Default `us-east-1`."),
  AWS_ENDPOINT_URL: z.url().optional().describe("URL of a queue server other than AWS's own (local development). Default: AWS."),
});
