import { createServer } from "node:http";

export interface SendEntry {
  Id: string;
  MessageBody: string;
  DelaySeconds: number;
  MessageGroupId?: string;
}

/** What the server says to one `SendMessageBatch`: its answer, an HTTP status to fail with, or an error of its own with code 400. */
export type SendAnswer = { Successful?: object[]; Failed?: object[] } | { __type: string; message: string } | number;

export interface ScriptedSqs {
  readonly endpoint: string;
  /** The entries of each request, in the order of arrival. */
  readonly requests: readonly (readonly SendEntry[])[];
  close(): Promise<void>;
}

export const accept = ({ Id }: SendEntry): object => ({ Id, MessageId: `message-${Id}`, MD5OfMessageBody: "" });

/**
 * A server that speaks SQS's JSON protocol and answers sends as the test says: emulators do not lose single entries of a batch, AWS does. `answer` gets the entries and
 * the number of the request, from 1.
 */
export async function startScriptedSqs(
  answer: (entries: readonly SendEntry[], requestNumber: number) => SendAnswer | Promise<SendAnswer>,
): Promise<ScriptedSqs> {
  const requests: (readonly SendEntry[])[] = [];
  const server = createServer(async (request, response) => {
    const { Entries } = JSON.parse(Buffer.concat(await request.toArray()).toString()) as { Entries: SendEntry[] };
    const number = requests.push(Entries);
    const said = await answer(Entries, number);
    response.setHeader("content-type", "application/x-amz-json-1.0");
    if (typeof said === "number")
      response.writeHead(said).end(JSON.stringify({ __type: "com.amazonaws.sqs#InternalError", message: "no" }));
    else if ("__type" in said) response.writeHead(400).end(JSON.stringify(said));
    else response.end(JSON.stringify({ Successful: [], Failed: [], ...said }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
