import { Kysely } from "kysely";
import { PostgresJSDialect } from "kysely-postgres-js";
import type { Sql, TransactionSql } from "./connect.ts";
import type { Database } from "./database.ts";
import { inTransaction } from "./in-transaction.ts";

/** Whose rows a transaction may see and write. `platform` is an administrator's request that names no tenant: every tenant's. */
export type DataScope = { kind: "tenant"; tenantId: string } | { kind: "platform" };

/** Kysely inside one transaction. */
export type TenantDatabase = Kysely<Database>;

/**
 * Runs `body` in a transaction that row-level security holds to `scope` (rule K7). The settings end with the transaction, so a pooled connection carries nothing over to
 * the next request, and a transaction that forgot them would see no row at all. The connection must have the role `downbeat_api`.
 *
 * Statements still name the tenant where they know it: the policy protects, but only an equality on `tenant_id` lets the planner use the keys.
 */
export function tenantTransaction<Result>(
  sql: Sql,
  scope: DataScope,
  body: (database: TenantDatabase) => Promise<Result>,
): Promise<Result> {
  return inTransaction(sql, async (transaction) => {
    const [tenantId, scopeName] = scope.kind === "tenant" ? [scope.tenantId, ""] : ["", "platform"];
    await transaction`select set_config('app.tenant_id', ${tenantId}, true), set_config('app.scope', ${scopeName}, true)`;
    return body(kyselyIn(transaction));
  });
}

/**
 * Kysely on a transaction that postgres.js manages. Not kysely's own `transaction()`: it reserves connections of the pool, and one that breaks while reserved goes back into
 * the pool as if it were open.
 */
function kyselyIn(transaction: TransactionSql): TenantDatabase {
  const reserved = { unsafe: transaction.unsafe, release: () => {} };
  const connection = { options: {}, reserve: () => Promise.resolve(reserved), end: () => Promise.resolve() };
  return new Kysely<Database>({ dialect: new PostgresJSDialect({ postgres: () => connection }) });
}
