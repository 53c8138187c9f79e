import { readdir, readFile } from "node:fs/promises";

/** Linux counts CPU time in ticks of 10 ms. */
const tickSeconds = 0.01;

interface ProcessTimes {
  parent: number;
  /** Its own. */
  seconds: number;
  /** Of children that have ended. */
  endedChildrenSeconds: number;
}

/** CPU seconds a process has used so far, with all its descendants, also those that have ended. Linux only. */
export async function cpuSeconds(pid: number): Promise<number> {
  const all = new Map<number, ProcessTimes>();
  for (const entry of await readdir("/proc")) {
    if (/^\d+$/.test(entry)) {
      const times = await readTimes(Number(entry));
      if (times !== undefined) all.set(Number(entry), times);
    }
  }
  const sum = (of: number): number => {
    const own = all.get(of);
    if (own === undefined) return 0;
    const children = [...all].filter(([, times]) => times.parent === of).map(([child]) => sum(child));
    return own.seconds + own.endedChildrenSeconds + children.reduce((total, seconds) => total + seconds, 0);
  };
  return sum(pid);
}

async function readTimes(pid: number): Promise<ProcessTimes | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  // The command's name may hold anything, so the fields are counted from the parenthesis that closes it.
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [, parent = 0] = fields;
  const [userTicks = 0, systemTicks = 0, endedUserTicks = 0, endedSystemTicks = 0] = fields.slice(11, 15);
  return {
    parent,
    seconds: (userTicks + systemTicks) * tickSeconds,
    endedChildrenSeconds: (endedUserTicks + endedSystemTicks) * tickSeconds,
  };
}
