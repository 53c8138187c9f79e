/**
 * The kernel keeps from process 1, which a container's program is, every signal it has no handler for. A pod that is told to stop while its code still loads, or a command that has no
 * handler at all, would go on until it is killed half a minute later. From here on such a process ends at once; as soon as the program listens itself, the signal is its own affair.
 */
export function heedSignals(exitCodeOf: (signalNumber: number) => number): void {
  for (const [name, signalNumber] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
  ] as const) {
    process.on(name, () => {
      if (process.listenerCount(name) === 1) process.exit(exitCodeOf(signalNumber));
    });
  }
}
