/**
 * The values of the chart as its author documented them, in the convention of helm-docs: `# -- text` above a key says what it means, further comment lines go on
 * with it, `# @default -- text` replaces a default too long to show. `# @section -- Title`, anywhere above, opens the part of the README that its successors stand in.
 */
import { isMap, isScalar, LineCounter, parseDocument, type Pair, type ParsedNode, type YAMLMap } from "yaml";

export interface ChartValue {
  /** `executor.replicas` */
  path: string;
  default: unknown;
  /** What the comment says; undefined where there is none. */
  meaning?: string;
  section: string;
  /** What the README shows in place of the default. */
  shownDefault?: string;
}

const sectionLine = /^\s*# @section -- (.+)$/;

/** Every key in the order of the file, maps before what they hold. */
export function readValues(text: string): ChartValue[] {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter });
  if (document.errors[0] !== undefined) throw document.errors[0];
  const lines = text.split("\n");
  const values: ChartValue[] = [];

  const visit = (map: YAMLMap.Parsed, prefix: string) => {
    for (const pair of map.items as Pair<ParsedNode, ParsedNode | null>[]) {
      const keyLine = lineCounter.linePos(pair.key.range[0]).line - 1;
      const path = `${prefix}${isScalar(pair.key) ? String(pair.key.value) : ""}`;
      values.push({
        path,
        default: pair.value?.toJS(document) ?? null,
        section: sectionAt(lines, keyLine),
        ...readComment(lines, keyLine),
      });
      if (isMap(pair.value)) visit(pair.value as YAMLMap.Parsed, `${path}.`);
    }
  };
  if (isMap(document.contents)) visit(document.contents, "");
  return values;
}

interface Comment {
  meaning?: string;
  shownDefault?: string;
}

function sectionAt(lines: readonly string[], keyLine: number): string {
  const opened = lines.slice(0, keyLine).findLast((line) => sectionLine.test(line));
  return sectionLine.exec(opened ?? "")?.[1] ?? "Values";
}

/** The comment that stands directly above a line (counted from 0). Lines before its `# --` are for readers of the file only. */
function readComment(lines: readonly string[], keyLine: number): Comment {
  let start = keyLine;
  while (start > 0 && lines[start - 1]?.trimStart().startsWith("#") === true) start -= 1;
  const comment: Comment = {};
  for (const line of lines.slice(start, keyLine)) {
    const text = line.trimStart().replace(/^# ?/, "").trimEnd();
    const [, opened] = /^-- (?:\([^)]*\) )?(.*)$/.exec(text) ?? [];
    const [, shownDefault] = /^@default -- (.*)$/.exec(text) ?? [];
    if (opened !== undefined) comment.meaning = opened;
    else if (shownDefault !== undefined) comment.shownDefault = shownDefault;
    else if (comment.meaning !== undefined && !text.startsWith("@")) comment.meaning = `${comment.meaning} ${text}`.trimEnd();
  }
  return comment;
}
