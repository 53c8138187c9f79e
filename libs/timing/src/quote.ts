const shownMax = 80;

/** What a user sent, as one line of a message: quoted, control characters escaped, cut where it is long. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= shownMax ? text : `${text.slice(0, shownMax)}…`;
}
