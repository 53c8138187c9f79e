/** Longer texts are near no name that anybody gives; comparing them would only cost time. */
const givenLengthMax = 64;

export interface ClosestNameOptions {
  /** How many slips are forgiven. Default one for every three letters given, and at least one. */
  slipsMax?: number;
  /** Every way to write a known name. Default the name itself. */
  spellingsOf?: (name: string) => readonly string[];
}

/**
 * The known name that was most likely meant, or undefined when none is near. Case and separators do not count; a slip is a letter added, left out, replaced or
 * swapped with its neighbour. Of names that are equally near, the first one is taken.
 */
export function closestName(given: string, known: readonly string[], options: ClosestNameOptions = {}): string | undefined {
  if (given.length > givenLengthMax) return undefined;
  const wanted = lettersOf(given);
  const { slipsMax = slipsAllowed(given, 3), spellingsOf = (name) => [name] } = options;
  let closest: string | undefined;
  let fewestSlips = slipsMax + 1;
  for (const name of known) {
    const slips = Math.min(...spellingsOf(name).map((spelling) => countSlips(wanted, lettersOf(spelling))));
    if (slips < fewestSlips) {
      closest = name;
      fewestSlips = slips;
    }
  }
  return closest;
}

/** One slip for every `lettersPerSlip` letters of `given`, and at least one. */
export function slipsAllowed(given: string, lettersPerSlip: number): number {
  return Math.max(1, Math.floor(lettersOf(given).length / lettersPerSlip));
}

/** `intervalSeconds`, `interval-seconds` and `interval_seconds` are the same letters. The plus sign stays, because Etc/GMT+5 and Etc/GMT-5 are ten hours apart. */
function lettersOf(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9+]/g, "");
}

/** How many letters were added, left out, replaced or swapped with their neighbour (optimal string alignment distance). */
function countSlips(from: string, to: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1];
      let slips = Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, (previous[column - 1] ?? 0) + (isSame ? 0 : 1));
      const isSwapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (isSwapped) slips = Math.min(slips, (beforePrevious[column - 2] ?? 0) + 1);
      current.push(slips);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[to.length] ?? 0;
}
