import { closestName, slipsAllowed } from "./closest-name.ts";

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

/**
 * The zone that somebody who wrote `timezone` most likely meant, or null when none is near. Case and separators do not count, and the city alone will do:
 * "America/NewYork", "new york" and "America/New_Yrok" all mean America/New_York. One slip is forgiven for every four letters of the city, which keeps
 * Munich from becoming Zurich.
 */
export function suggestTimezone(timezone: string): string | null {
  const known = ["UTC", ...renamedZones, ...Intl.supportedValuesOf("timeZone")];
  const slipsMax = slipsAllowed(cityOf(timezone), 4);
  return closestName(timezone, known, { slipsMax, spellingsOf: (name) => [name, cityOf(name)] }) ?? null;
}

function cityOf(timezone: string): string {
  return timezone.slice(timezone.lastIndexOf("/") + 1);
}
