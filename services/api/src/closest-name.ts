/** The known name that was most likely meant, or undefined when none is near: at most one slip for every three letters. */
export function closestName(given: string, known: readonly string[]): string | undefined {
  let closest: string | undefined;
  let fewestSlips = Math.max(1, Math.floor(given.length / 3)) + 1;
  for (const name of known) {
    const slips = countSlips(lettersOf(given), lettersOf(name));
    if (slips < fewestSlips) {
      closest = name;
      fewestSlips = slips;
    }
  }
  return closest;
}

/** `intervalSeconds`, `interval-seconds` and `interval_seconds` are the same letters. */
function lettersOf(name: string): string {
  return name
    .slice(0, 64)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, "");
}

/** How many letters were added, left out or replaced (Levenshtein distance). */
function countSlips(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, replaced));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
