/** The JSON Schema of the chart's values, read as a tree of named properties. */
interface Node {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Node>;
  additionalProperties?: boolean | Node;
  enum?: unknown[];
  $defs?: Record<string, Node>;
  definitions?: Record<string, Node>;
}

export class Schema {
  readonly #top: Node;

  constructor(top: unknown) {
    this.#top = top as Node;
  }

  /** The schema of `executor.replicas`; undefined when the schema does not name it and no object on the way takes free keys. */
  find(path: string): Node | undefined {
    let node: Node | undefined = this.#top;
    for (const key of path.split(".")) {
      if (node === undefined) return undefined;
      const { properties, additionalProperties } = this.#resolve(node);
      node =
        properties?.[key] ??
        (additionalProperties === true || (properties === undefined && additionalProperties === undefined)
          ? {}
          : objectOf(additionalProperties));
    }
    return node === undefined ? undefined : this.#resolve(node);
  }

  /** Of every named property, objects before what they hold. */
  listPaths(): string[] {
    return this.#walk(this.#top, "").map(({ path }) => path);
  }

  /** Objects that name properties and take any other key too. `global` is Helm's own and belongs to whoever embeds the chart. */
  listOpenObjects(): string[] {
    return [{ path: "", node: this.#top }, ...this.#walk(this.#top, "")]
      .filter(({ path, node }) => path !== "global" && node.properties !== undefined && node.additionalProperties !== false)
      .map(({ path }) => path);
  }

  #walk(node: Node, prefix: string): { path: string; node: Node }[] {
    return Object.entries(node.properties ?? {}).flatMap(([key, property]) => {
      const resolved = this.#resolve(property);
      return [{ path: `${prefix}${key}`, node: resolved }, ...this.#walk(resolved, `${prefix}${key}.`)];
    });
  }

  /** Follows `#/$defs/name` and `#/definitions/name`; what stands beside the reference wins. */
  #resolve(node: Node): Node {
    if (node.$ref === undefined) return node;
    const [, folder = "", name = ""] = /^#\/(\$defs|definitions)\/(.+)$/.exec(node.$ref) ?? [];
    const target = (folder === "$defs" ? this.#top.$defs : this.#top.definitions)?.[name];
    if (target === undefined) throw new Error(`values.schema.json refers to ${node.$ref}, which is not there`);
    const { $ref: _, ...own } = node;
    return this.#resolve({ ...target, ...own });
  }
}

function objectOf(value: boolean | Node | undefined): Node | undefined {
  return typeof value === "object" ? value : undefined;
}
