import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { ApiClient, explainProblem } from "./api-client.ts";
import { Failure } from "./failure.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("each field at fault gets one line that names it, what is wrong and what was given", () => {
  const text = explainProblem({
    status: 422,
    code: "invalid_value",
    errors: [
      { field: "timezone", message: 'is "Mars/X", which is no time zone', value: "Mars/X" },
      { field: "endpoint", message: "is not an endpoint of this tenant", value: "nope" },
    ],
  });
  expect(text.split("\n")).toEqual([
    'timezone is "Mars/X", which is no time zone (422 invalid_value)',
    'endpoint is not an endpoint of this tenant, got "nope" (422 invalid_value)',
  ]);
});

test("a problem without fields is one line", () => {
  expect(explainProblem({ status: 401, code: "unauthorized", title: "t", detail: "The API key\nis not known." })).toBe(
    "The API key is not known. (401 unauthorized)",
  );
});

test("key, tenant and query reach the API, and its answer comes back", async () => {
  const url = await serve((request, response) => response.end(JSON.stringify({ url: request.url, headers: request.headers })));
  const api = new ApiClient({ url: `${url}/`, apiKey: "sk_1", tenant: "acme" });
  const answer = await api.get<{ url: string; headers: Record<string, string> }>("/api/v1/runs", { limit: 5, state: undefined });
  expect(answer.url).toBe("/api/v1/runs?limit=5");
  expect(answer.headers).toMatchObject({ authorization: "Bearer sk_1", "x-tenant": "acme" });
});

test("an API that is not there is named, with what to do", async () => {
  const url = await serve(() => {});
  closers.splice(0).forEach((close) => close());
  await expect(new ApiClient({ url, apiKey: "k" }).get("/x")).rejects.toThrow(`nothing answers at ${url}: start it with \`make dev\``);
});

test("an answer that is not JSON is a failure of one line, not a stack", async () => {
  const url = await serve((_request, response) => response.writeHead(502).end("<html>\nBad gateway"));
  const failure = await new ApiClient({ url, apiKey: "k" }).get("/x").catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(Failure);
  expect((failure as Failure).message).toBe(`${url} answered 502 with something that is not JSON. Is it a Downbeat API?`);
});
