import { fetchAgain } from "./fetch-again.ts";

export interface Call {
  path: string;
  /** Wall-clock milliseconds, of the receiver's machine, when the head of the request had arrived. */
  atMs: number;
  headers: Readonly<Record<string, string>>;
  /** As it arrived: what the signature is about. */
  body: string;
}

/** What the receiver has been called with. Only what is new is fetched each time. */
export class ReceiverLog {
  /** The receiver as executors reach it. */
  readonly baseUrl: string;
  readonly #url: string;
  readonly #calls: Call[] = [];

  /** `url`: the receiver as the test reaches it. */
  constructor(baseUrl: string, url: string) {
    this.baseUrl = baseUrl;
    this.#url = url;
  }

  /** All calls so far, in the order of their arrival. */
  async calls(): Promise<readonly Call[]> {
    for (;;) {
      const from = this.#calls.length;
      const response = await fetchAgain(`${this.#url}/calls?after=${from}`);
      const { calls, total } = (await response.json()) as { calls: Call[]; total: number };
      // Two of these may have run at once; then the other one has added these.
      if (this.#calls.length === from) this.#calls.push(...calls);
      if (this.#calls.length >= total) return this.#calls;
    }
  }
}
