import { isIP } from "node:net";
import { createNetworkGuard } from "./network-guard.ts";

declare const checked: unique symbol;

/** A URL that passed the rules of `checkTargetUrl`. Everything later works on this object, never on the text it came from (rule S4). */
export type TargetUrl = Readonly<URL> & { readonly [checked]: true };

/** `message` completes the sentence "the URL …" and may be shown to the tenant. */
export type CheckedUrl = { readonly ok: true; readonly url: TargetUrl } | { readonly ok: false; readonly message: string };

export interface TargetUrlOptions {
  /** Allows `http`, any port and any host. For development and tests only. */
  allowPrivateTargets: boolean;
}

const lengthMax = 2048;
const portMin = 1024;

/** Ports above 1023 where a POST can only be meant for somebody else: databases, caches, container and cluster control, IRC, X11. */
const deniedPorts: ReadonlySet<number> = new Set([
  1433, 1521, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 5432, 5900, 6000, 6379, 6443, 6665, 6666, 6667, 6668, 6669, 6697, 9200, 9300, 10250,
  10255, 11211, 27017,
]);

/** Names that never mean a public host. */
const deniedNames = /(^|\.)(localhost|localdomain|internal|local)$/;

/** The literal addresses that are refused at save; ranges of the deployment are refused when connecting. */
const guard = createNetworkGuard({ allowPrivateTargets: false });

/** Applies the URL rules, at save and again at send (rule S4). Pure: no name is resolved here. */
export function checkTargetUrl(text: string, { allowPrivateTargets }: TargetUrlOptions): CheckedUrl {
  if (text.length > lengthMax) return refused(`must not be longer than ${lengthMax} characters`);
  // The parser drops tabs, newlines and outer spaces silently; what was stored and what is called must be the same.
  if (/[\s\p{Cc}]/u.test(text)) return refused("must not contain spaces or control characters");
  if (!URL.canParse(text)) return refused("is not a valid absolute URL");
  const url = new URL(text);
  if (url.protocol !== "https:" && !(allowPrivateTargets && url.protocol === "http:")) {
    return refused(allowPrivateTargets ? "must use http or https" : "must use https");
  }
  if (url.username !== "" || url.password !== "") return refused("must not contain a user name or password; send a header instead");
  if (url.hash !== "") return refused("must not have a fragment (#…): it never reaches a server");
  if (url.hostname.endsWith(".")) url.hostname = url.hostname.slice(0, -1);
  if (url.hostname === "" || url.hostname.startsWith(".") || url.hostname.includes("..") || url.hostname.endsWith(".")) {
    return refused("has a host name with an empty part");
  }
  if (!allowPrivateTargets) {
    const message = refusedPort(url.port) ?? refusedHost(url.hostname);
    if (message !== undefined) return refused(message);
  }
  return { ok: true, url: url as unknown as TargetUrl };
}

/**
 * Appends a target's path (`/orders?full=1`, `?full=1` or nothing) to its endpoint's base URL. The result cannot leave the base: same origin, below the base's
 * path, whatever dots or slashes the path holds. Both queries are kept, the base's first.
 */
export function joinTargetPath(base: TargetUrl, path: string): CheckedUrl {
  if (path === "") return { ok: true, url: base };
  if (!/^[/?]/.test(path) || path.startsWith("//")) return refused("path must start with one / or with ?");
  if (/[\s\p{Cc}\\#]/u.test(path)) return refused("path must not contain spaces, control characters, backslashes or #");
  const queryAt = path.indexOf("?");
  const pathname = queryAt === -1 ? path : path.slice(0, queryAt);
  const query = queryAt === -1 ? "" : path.slice(queryAt + 1);
  const url = new URL(base.href);
  if (pathname !== "") {
    const below = base.pathname.replace(/\/+$/, "");
    url.pathname = below + pathname;
    if (!url.pathname.startsWith(`${below}/`)) return refused("path must stay below the base URL's path");
  }
  if (query !== "") url.search = base.search === "" ? query : `${base.search}&${query}`;
  if (url.href.length > lengthMax) return refused(`must not be longer than ${lengthMax} characters with its path`);
  return { ok: true, url: url as unknown as TargetUrl };
}

function refusedPort(port: string): string | undefined {
  if (port === "") return undefined;
  const number = Number(port);
  return number < portMin || deniedPorts.has(number)
    ? `must use port 443 or a port from ${portMin} that is not a well-known internal service`
    : undefined;
}

function refusedHost(hostname: string): string | undefined {
  const literal = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  if (isIP(literal) !== 0) return guard.isForbidden(literal) ? "must not point to a private or reserved address" : undefined;
  if (deniedNames.test(hostname) || !hostname.includes(".")) return "must name a public host";
  return undefined;
}

function refused(message: string): CheckedUrl {
  return { ok: false, message };
}
