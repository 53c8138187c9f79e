/** Keeps the `entriesMax` most recently used values of a function that is costly to call. */
export class LruCache<Value> {
  readonly #entries = new Map<string, Value>();
  readonly #entriesMax: number;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  /** The value of `key`, made by `create` when it is not kept. Nothing is kept when `create` throws. */
  getOrCreate(key: string, create: (key: string) => Value): Value {
    const kept = this.#entries.get(key);
    const value = kept ?? create(key);
    // A Map iterates in the order of insertion, so inserting again marks the entry as the most recently used one.
    if (kept !== undefined) this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size > this.#entriesMax) this.#entries.delete(this.#entries.keys().next().value as string);
    return value;
  }

  get size(): number {
    return this.#entries.size;
  }
}
