import { fetchAgain } from "./fetch-again.ts";

/** The REST API as a client of any language sees it: a URL, a key, JSON. */
export interface RestClient {
  /** Answers the body of a 2xx answer. Throws on any other, with what the API said. */
  call<Answer = unknown>(method: "GET" | "POST" | "PATCH" | "DELETE", path: string, body?: object): Promise<Answer>;
  /** The same key speaking for one tenant. */
  forTenant(slug: string): RestClient;
}

export function createRestClient({ url, key, tenant }: { url: string; key: string; tenant?: string }): RestClient {
  return {
    async call<Answer>(method: string, path: string, body?: object) {
      const response = await fetchAgain(`${url}/api/v1${path}`, {
        method,
        headers: {
          Authorization: `Bearer ${key}`,
          ...(tenant === undefined ? {} : { "X-Tenant": tenant }),
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${text}`);
      return (text === "" ? undefined : JSON.parse(text)) as Answer;
    },
    forTenant: (slug) => createRestClient({ url, key, tenant: slug }),
  };
}
