/**
 * Ctrl+C reaches a process on several ways at once: from the terminal, which signals the whole foreground group, and from a parent (`npx`, the Node that started this one)
 * that hands it on. Signals this close together are one wish; a later one means that the person does not want to wait.
 */
const sameWishMs = 1_000;

const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Calls `onStop` at the first signal that asks for the end and `onForce` when another comes a while later. Returns the undo. */
export function listenForStop(options: { onStop(): void; onForce(): void }): () => void {
  let firstMs: number | undefined;
  const listener = () => {
    const nowMs = performance.now();
    if (firstMs === undefined) {
      firstMs = nowMs;
      options.onStop();
    } else if (nowMs - firstMs > sameWishMs) options.onForce();
  };
  for (const name of names) process.on(name, listener);
  return () => {
    for (const name of names) process.off(name, listener);
  };
}
