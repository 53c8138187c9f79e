/**
 * Zones renamed since 1990 under the names they have today. `Intl` accepts them but lists only the old ones, and "Asia/Calcutta" is no answer to somebody who
 * mistyped Kolkata.
 */
const renamedZones = [
  "Africa/Asmara",
  "America/Argentina/Buenos_Aires",
  "America/Argentina/Catamarca",
  "America/Argentina/Cordoba",
  "America/Argentina/Jujuy",
  "America/Argentina/Mendoza",
  "America/Atikokan",
  "America/Indiana/Indianapolis",
  "America/Kentucky/Louisville",
  "America/Nuuk",
  "Asia/Ho_Chi_Minh",
  "Asia/Kathmandu",
  "Asia/Kolkata",
  "Asia/Yangon",
  "Atlantic/Faroe",
  "Europe/Kyiv",
  "Pacific/Chuuk",
  "Pacific/Kanton",
  "Pacific/Pohnpei",
];

/** The longest name in the database has 32 characters. */
const nameLengthMax = 64;

/**
 * The zone that somebody who wrote `timezone` most likely meant, or null when none is near. Case and separators do not count, and the city alone will do:
 * "America/NewYork", "new york" and "America/New_Yrok" all mean America/New_York. One slip is forgiven for every four letters of the city, which keeps
 * Munich from becoming Zurich.
 */
export function suggestTimezone(timezone: string): string | null {
  if (timezone.length > nameLengthMax) return null;
  const wanted = lettersOf(timezone);
  const wantedCity = lettersOf(cityOf(timezone));
  let nearest: string | null = null;
  let fewestSlips = Math.max(1, Math.floor(wantedCity.length / 4)) + 1;
  for (const name of ["UTC", ...renamedZones, ...Intl.supportedValuesOf("timeZone")]) {
    const slips = Math.min(countSlips(wanted, lettersOf(name)), countSlips(wanted, lettersOf(cityOf(name))));
    if (slips < fewestSlips) {
      nearest = name;
      fewestSlips = slips;
    }
  }
  return nearest;
}

function cityOf(timezone: string): string {
  return timezone.slice(timezone.lastIndexOf("/") + 1);
}

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
