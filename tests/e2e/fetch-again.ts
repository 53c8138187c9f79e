import { setTimeout as sleep } from "node:timers/promises";

const triesMax = 40;
const againMs = 500;

/** `fetch`, tried again while nobody answers. A forwarded port is closed for a moment when its pod is replaced, and kubectl notices only at the next connection. */
export async function fetchAgain(url: string, init: RequestInit = {}): Promise<Response> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await fetch(url, init);
    } catch (error) {
      if (tries === triesMax) throw new Error(`nobody answers at ${url}`, { cause: error });
      await sleep(againMs);
    }
  }
}
