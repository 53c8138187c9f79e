import { isIP, type Socket } from "node:net";
import { buildConnector } from "undici";
import { BlockedTargetError, type NetworkGuard } from "./network-guard.ts";
import type { ResolvedAddress, ResolveHost } from "./resolve-host.ts";

export interface PinnedConnectOptions {
  guard: NetworkGuard;
  resolve: ResolveHost;
  /** For TCP and TLS together, for each address tried. */
  connectTimeoutMs: number;
  /** Certificate authorities to trust in place of the built-in ones, PEM. */
  certificateAuthorities?: string | readonly string[];
}

/** Errors after which another address of the same name is worth a try: they come at once and nothing was sent. */
const nextAddressCodes: ReadonlySet<unknown> = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EADDRNOTAVAIL"]);
const addressesTriedMax = 3;

/**
 * The connector of tenant traffic (rules S1, S9): resolves once, refuses when any address is forbidden, connects to an address it has checked (never again to
 * the name), and looks at the peer's address once more. It replaces undici's whole connect step because nothing narrower holds (rule S2): a `lookup` hook
 * is never called for address literals, `net.BlockList` as a connect option is ignored for https, and undici's DNS interceptor switches a `lookup` hook off.
 */
export function createPinnedConnect(options: PinnedConnectOptions): buildConnector.connector {
  const { guard, resolve, connectTimeoutMs, certificateAuthorities } = options;
  const base = buildConnector({
    allowH2: false,
    timeout: connectTimeoutMs,
    minVersion: "TLSv1.2",
    // Said here so that NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment cannot switch verification off (rule W19).
    rejectUnauthorized: true,
    ...(certificateAuthorities === undefined ? {} : { ca: [certificateAuthorities].flat() }),
  });

  const checkedAddresses = async (host: string): Promise<readonly ResolvedAddress[]> => {
    const family = isIP(host);
    const addresses = family === 4 || family === 6 ? [{ address: host, family } as const] : await resolve(host);
    const forbidden = addresses.find(({ address }) => guard.isForbidden(address));
    if (forbidden !== undefined) throw new BlockedTargetError(`${host} is at ${forbidden.address}, which is not to be called`);
    return addresses;
  };

  const connectTo = (target: buildConnector.Options, host: string, address: string): Promise<Socket> =>
    new Promise((settle, reject) => {
      // The name stays what the certificate is checked against. For a literal, undici and Node check the address itself.
      const { servername: _requestServername, ...rest } = target;
      const pinned = { ...rest, hostname: address, ...(target.protocol === "https:" && isIP(host) === 0 ? { servername: host } : {}) };
      base(pinned, (error, socket) => {
        if (error !== null) return reject(error);
        const { remoteAddress } = socket;
        // A peer that hung up at once leaves no address behind; that is a broken connection, not a forbidden one.
        if (remoteAddress === undefined) {
          socket.destroy();
          return reject(Object.assign(new Error(`${host} closed the connection as it was made`), { code: "ECONNRESET" }));
        }
        if (guard.isForbidden(remoteAddress)) {
          socket.destroy();
          return reject(new BlockedTargetError(`${host} was reached at ${remoteAddress}, which is not to be called`));
        }
        settle(socket);
      });
    });

  const connect = async (target: buildConnector.Options): Promise<Socket> => {
    const host = target.hostname.replace(/^\[|\]$/g, "");
    let failure: unknown;
    for (const { address } of (await checkedAddresses(host)).slice(0, addressesTriedMax)) {
      try {
        return await connectTo(target, host, address);
      } catch (error) {
        failure = error;
        if (!nextAddressCodes.has((error as { code?: unknown }).code)) break;
      }
    }
    throw failure;
  };

  const connectAndReport = async (target: buildConnector.Options, callback: buildConnector.Callback): Promise<void> => {
    let socket: Socket;
    try {
      socket = await connect(target);
    } catch (error) {
      return callback(error as Error, null);
    }
    callback(null, socket);
  };
  return (target, callback) => void connectAndReport(target, callback);
}
