/** Text from users and servers on one line of a terminal: a line break or an escape sequence in it must not rearrange what else is shown. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ");
}
