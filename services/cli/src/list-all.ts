import type { ApiClient, Query } from "./api-client.ts";

/** The most the API answers in one page. */
const pageSizeMax = 200;

interface Page<Item> {
  items: Item[];
  next_cursor: string | null;
}

/** Follows the cursors of a list until it ends, or until there are `itemsMax`. */
export async function listAll<Item>(api: ApiClient, path: string, query: Query = {}, itemsMax = Number.POSITIVE_INFINITY): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  do {
    const limit = Math.min(pageSizeMax, itemsMax - items.length);
    const page: Page<Item> = await api.get<Page<Item>>(path, { ...query, limit, cursor });
    items.push(...page.items);
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined && items.length < itemsMax);
  return items;
}
