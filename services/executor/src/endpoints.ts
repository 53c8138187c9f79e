import { type KeyRing, openSealed } from "@downbeat/delivery/seal.ts";
import { parseSecret, type SigningKey } from "@downbeat/delivery/signing-secret.ts";
import type { EndpointToCall } from "@downbeat/delivery/build-request.ts";
import { describeError, type Log } from "@downbeat/runtime/log.ts";
import type { Sql } from "@downbeat/store/connect.ts";
import { type EndpointKey, loadEndpoints, type StoredEndpoint } from "@downbeat/store/load-endpoints.ts";

/** An endpoint at one revision of its settings. */
export interface EndpointVersion extends EndpointKey {
  revision: number;
}

/** How long an opened endpoint may be used: an expired signing secret stops signing at most this much later. */
const keptMs = 60_000;
/** Opened endpoints kept in memory. */
const keptMax = 10_000;

/**
 * Endpoints with their secrets opened, kept in memory by revision, so that a burst of runs costs one look-up for each endpoint and not one for each run. A lease names
 * the revision it needs; an edit therefore takes effect with the next lease.
 */
export class Endpoints {
  readonly #sql: Sql;
  readonly #keyRing: KeyRing;
  readonly #log: Log;
  readonly #clock: { monotonic(): number };
  readonly #kept = new Map<string, { endpoint: EndpointToCall; untilMs: number }>();

  constructor(options: { sql: Sql; keyRing: KeyRing; log: Log; clock: { monotonic(): number } }) {
    this.#sql = options.sql;
    this.#keyRing = options.keyRing;
    this.#log = options.log;
    this.#clock = options.clock;
  }

  /** Undefined when the endpoint was not loaded, or does not exist. */
  get(version: EndpointVersion): EndpointToCall | undefined {
    return this.#kept.get(nameOf(version))?.endpoint;
  }

  /** Loads those that are not in memory yet, in one statement. */
  async load(versions: readonly EndpointVersion[]): Promise<void> {
    const nowMs = this.#clock.monotonic();
    const missing = new Map(
      versions.filter((version) => (this.#kept.get(nameOf(version))?.untilMs ?? 0) <= nowMs).map((version) => [nameOf(version), version]),
    );
    if (missing.size === 0) return;
    for (const stored of await loadEndpoints(this.#sql, [...missing.values()])) {
      this.#kept.set(nameOf(stored), { endpoint: this.#open(stored), untilMs: nowMs + keptMs });
    }
    for (const name of this.#kept.keys()) {
      if (this.#kept.size <= keptMax) break;
      this.#kept.delete(name);
    }
  }

  #open(stored: StoredEndpoint): EndpointToCall {
    const { tenantId, endpointId, baseUrl, headers, timeoutMs } = stored;
    const signingKeys: SigningKey[] = [];
    for (const { version, keyId, sealed } of stored.secrets) {
      try {
        const secret = parseSecret(
          openSealed(this.#keyRing, { tenantId, endpointId, version }, { keyId, sealed: Buffer.from(sealed, "base64") }),
        );
        if (secret.ok) signingKeys.push(secret.key);
      } catch (error) {
        // Without any key the request is refused and the run fails as `misconfigured`, on its ledger row; here the operator learns why.
        this.#log.error(
          { tenant: tenantId, endpoint: endpointId, version, err: error },
          `cannot open a signing secret: ${describeError(error)}`,
        );
      }
    }
    return { baseUrl, headers, timeoutMs, compatSignatures: stored.hasCompatSignatures, signingKeys };
  }
}

function nameOf({ tenantId, endpointId, revision }: EndpointVersion): string {
  return `${tenantId}/${endpointId}/${revision}`;
}
