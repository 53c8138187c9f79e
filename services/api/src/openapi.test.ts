import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { openApiDocument } from "./openapi.ts";

interface Operation {
  operationId?: string;
  summary?: string;
  parameters?: { name: string; description?: string }[];
  responses: Record<string, unknown>;
}
interface Schema {
  properties?: Record<string, Schema>;
  description?: string;
  $ref?: string;
}

let document: { openapi: string; paths: Record<string, Record<string, Operation>>; components: { schemas: Record<string, Schema> } };
beforeAll(async () => {
  document = (await openApiDocument()) as typeof document;
});

describe("the OpenAPI document", () => {
  it("is the one in docs/ (else run: node services/api/src/write-openapi.ts)", async () => {
    const written = await readFile(new URL("../../../docs/openapi.json", import.meta.url), "utf8");
    expect(`${JSON.stringify(document, null, 2)}\n`).toBe(written);
  });

  it("names every operation once, and says of every one how it is refused", () => {
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(operations.length);
    for (const { operationId, summary, responses } of operations) {
      const isRefusalToldOf = responses["default"] !== undefined || responses["503"] !== undefined;
      expect({ operationId, summary, isRefusalToldOf }).toEqual({ operationId, summary: expect.any(String), isRefusalToldOf: true });
    }
  });

  it("describes every field and parameter", () => {
    const bare: string[] = [];
    const visit = (schema: Schema, name: string) => {
      for (const [field, part] of Object.entries(schema.properties ?? {})) {
        if (part.description === undefined) bare.push(`${name}.${field}`);
        visit(part, `${name}.${field}`);
      }
    };
    for (const [name, schema] of Object.entries(document.components.schemas)) visit(schema, name);
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const { parameters = [] } of Object.values(methods)) {
        for (const parameter of parameters) if (parameter.description === undefined) bare.push(`${path} ${parameter.name}`);
      }
    }
    expect(bare).toEqual([]);
  });

  it("refers only to components that exist, and has none that nobody refers to", () => {
    const used = new Set([...JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name));
    expect([...used].sort()).toEqual(Object.keys(document.components.schemas).sort());
  });
});
