/** Makes of `act` a function whose calls share one run of it: whoever asks while it is under way is given its result. */
export function shareInFlight<Result>(act: () => Promise<Result>): () => Promise<Result> {
  let inFlight: Promise<Result> | undefined;
  return () => {
    inFlight ??= act().finally(() => {
      inFlight = undefined;
    });
    return inFlight;
  };
}
