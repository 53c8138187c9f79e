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
    const wanted = new Map(versions.map((version) => [nameOf(version), version]));
    const missing = [...wanted.values()].filter((version) => (this.#kept.get(nameOf(version))?.untilMs ?? 0) <= nowMs);
    if (missing.length > 0) {
      const stored = await loadEndpoints(this.#sql, missing);
      const opened = new Map(stored.map((endpoint) => [endpointNameOf(endpoint), this.#open(endpoint)]));
      for (const version of missing) {
        // Edited since the lease, the newer settings are the right ones, and are kept under the revision that the lease knows and will ask for.
        const endpoint = opened.get(endpointNameOf(version));
        if (endpoint !== undefined) this.#kept.set(nameOf(version), { endpoint, untilMs: nowMs + keptMs });
      }
    }
    // What was needed last is forgotten last: the runs that have just been leased are about to ask for it.
    for (const name of wanted.keys()) {
      const kept = this.#kept.get(name);
      if (kept !== undefined && this.#kept.delete(name)) this.#kept.set(name, kept);
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

function endpointNameOf({ tenantId, endpointId }: EndpointKey): string {
  return `${tenantId}/${endpointId}`;
}

function nameOf(version: EndpointVersion): string {
  return `${endpointNameOf(version)}/${version.revision}`;
}
