/** Breaks a text between words into lines of at most `width` characters. A longer word has a line to itself, and a number is not parted from its unit of time. */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/ (?!(?:ms|s|min|h|d)\b)/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
