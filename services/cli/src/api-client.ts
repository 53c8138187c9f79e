import { Failure } from "./failure.ts";

export interface ApiClientOptions {
  url: string;
  apiKey: string;
  /** Slug. Needed with an administrator's key, which belongs to no tenant. */
  tenant?: string;
}

/** The problem+json document of a refused request (RFC 9457), as far as the API fills it. */
export interface Problem {
  status: number;
  code?: string;
  title?: string;
  detail?: string;
  /** `message` is read after the field's name. */
  errors?: { field: string; message: string; value?: unknown }[];
}

/** The API understood the request and refused it. */
export class ApiError extends Failure {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(explainProblem(problem));
    this.problem = problem;
  }
}

export type Query = Readonly<Record<string, string | number | undefined>>;

/** Longer than the API takes for anything, a change of 1,000 schedules included; a server that hangs must not hang the terminal. */
const timeoutMs = 60_000;

/** The REST API as the commands use it: JSON in, JSON out, and errors that read as one line each. */
export class ApiClient {
  readonly #options: ApiClientOptions;

  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  get<Answer>(path: string, query: Query = {}, signal?: AbortSignal): Promise<Answer> {
    return this.#request("GET", path, { query, ...(signal === undefined ? {} : { signal }) });
  }

  post<Answer>(path: string, body?: unknown): Promise<Answer> {
    return this.#request("POST", path, { body });
  }

  patch<Answer>(path: string, body: unknown, query: Query = {}): Promise<Answer> {
    return this.#request("PATCH", path, { body, query });
  }

  delete<Answer = undefined>(path: string): Promise<Answer> {
    return this.#request("DELETE", path, {});
  }

  async #request<Answer>(method: string, path: string, given: { query?: Query; body?: unknown; signal?: AbortSignal }): Promise<Answer> {
    const { url, apiKey, tenant } = this.#options;
    const target = new URL(`${url.replace(/\/$/, "")}${path}`);
    for (const [name, value] of Object.entries(given.query ?? {})) if (value !== undefined) target.searchParams.set(name, String(value));
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(target, {
        method,
        headers: {
          accept: "application/json",
          // Commands ask once, or once a second; a connection kept open in between would be one that an API has to wait for when it shuts down.
          connection: "close",
          authorization: `Bearer ${apiKey}`,
          ...(tenant === undefined ? {} : { "x-tenant": tenant }),
          ...(given.body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(given.body === undefined ? {} : { body: JSON.stringify(given.body) }),
        signal: given.signal === undefined ? timeout : AbortSignal.any([given.signal, timeout]),
      });
      return (await readAnswer(response, url)) as Answer;
    } catch (error) {
      if (error instanceof Failure || given.signal?.aborted === true) throw error;
      throw new Failure(explainTransport(error, url), { cause: error });
    }
  }
}

async function readAnswer(response: Response, url: string): Promise<unknown> {
  const text = await response.text();
  let json: unknown;
  try {
    json = text === "" ? undefined : JSON.parse(text);
  } catch {
    throw new Failure(`${url} answered ${response.status} with something that is not JSON. Is it a Downbeat API?`);
  }
  if (response.ok) return json;
  throw new ApiError({ ...(typeof json === "object" && json !== null ? json : {}), status: response.status });
}

/** One line for each field the API named, else one line for the whole problem. */
export function explainProblem({ status, code, title, detail, errors = [] }: Problem): string {
  const suffix = `(${[status, code].filter((part) => part !== undefined).join(" ")})`;
  if (errors.length === 0) return `${oneLine(detail ?? title ?? "the API refused the request")} ${suffix}`;
  return errors.map(({ field, message, value }) => `${oneLine(`${field} ${message}${shownValue(value, message)}`)} ${suffix}`).join("\n");
}

function shownValue(value: unknown, message: string): string {
  return value === undefined || message.includes(String(value)) ? "" : `, got ${JSON.stringify(value)}`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ");
}

function explainTransport(error: unknown, url: string): string {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  if ((error as Error).name === "TimeoutError") return `the API at ${url} did not answer within ${timeoutMs / 1_000} s`;
  if (cause?.code === "ECONNREFUSED") return `nothing answers at ${url}: start it with \`make dev\`, or set DOWNBEAT_URL to your API`;
  if (cause?.code === "ENOTFOUND") return `the host name in ${url} does not exist: check DOWNBEAT_URL`;
  return `cannot reach the API at ${url}: ${cause?.code ?? cause?.message ?? (error as Error).message}`;
}
