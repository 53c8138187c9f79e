import { randomUUID } from "node:crypto";
import { parseKeyRing, seal } from "@downbeat/delivery/seal.ts";
import { createSecret } from "@downbeat/delivery/signing-secret.ts";
import type { Sql } from "@downbeat/store/connect.ts";

/** The key ring of every process under test. Not a secret: it seals nothing but test data. */
export const testSecretKeys = `test:${Buffer.alloc(32, 7).toString("base64")}`;

export interface ArrangedEndpoint {
  tenantId: string;
  endpointId: string;
  /** What the receiver verifies with. */
  secret: string;
}

/** A tenant with one endpoint at `baseUrl`, written as the API writes them. */
export async function arrangeEndpoint(
  sql: Sql,
  baseUrl: string,
  options: { timeoutMs?: number; slug?: string } = {},
): Promise<ArrangedEndpoint> {
  const tenantId = randomUUID();
  const endpointId = randomUUID();
  const secret = createSecret();
  const { keyId, sealed } = seal(parseKeyRing(testSecretKeys), { tenantId, endpointId, version: 1 }, secret);
  await sql`insert into downbeat.tenants (id, slug, name) values (${tenantId}, ${options.slug ?? `t-${tenantId}`}, 'Test tenant')`;
  await sql`insert into downbeat.endpoints (tenant_id, id, name, base_url, timeout_ms)
    values (${tenantId}, ${endpointId}, 'receiver', ${baseUrl}, ${options.timeoutMs ?? 15_000})`;
  await sql`insert into downbeat.endpoint_secrets (tenant_id, endpoint_id, version, key_id, sealed)
    values (${tenantId}, ${endpointId}, 1, ${keyId}, ${sealed})`;
  return { tenantId, endpointId, secret };
}

export interface ArrangedRule {
  kind: "cron" | "interval" | "once";
  cronExpression?: string;
  timezone?: string;
  intervalSeconds?: number;
  /** ms since 1970 */
  anchorAt?: number;
  runAt?: number;
}

/** Policies of a schedule, as the table's columns. What is left out is as the schema has it by default. */
export interface ArrangedPolicy {
  misfire?: "latest" | "all" | "skip";
  grace_seconds?: number | null;
  overlap?: "skip" | "queue_one" | "queue_all" | "allow" | "cancel_previous";
  max_instances?: number;
  on_resume?: "skip" | "latest" | "all";
  spread_seconds?: number;
  spread_share?: number;
  max_runs?: number;
  max_failures?: number;
  calendar_ids?: readonly string[];
}

/**
 * `count` schedules of one rule whose next occurrence is `nextRunAt` (ms since 1970), in one transaction. Answers their ids. With `isDue: false` they are left out of the due index;
 * `makeDue` adds them.
 */
export async function arrangeSchedules(
  sql: Sql,
  { tenantId, endpointId }: ArrangedEndpoint,
  options: { rule: ArrangedRule; policy?: ArrangedPolicy; nextRunAt: number; count?: number; input?: object; isDue?: boolean },
): Promise<string[]> {
  const { rule, policy = {}, nextRunAt, count = 1, input = {}, isDue = true } = options;
  const instant = (at: number | undefined) => (at === undefined ? null : at / 1000);
  return sql.begin(async (transaction) => {
    const rows = await transaction<{ id: string }[]>`
      with made as (
        insert into downbeat.schedules
          (tenant_id, name, kind, cron_expression, timezone, interval_seconds, anchor_at, run_at, endpoint_id, target, input)
        select ${tenantId}, 'schedule-' || gen_random_uuid(), ${rule.kind}, ${rule.cronExpression ?? null}, ${rule.timezone ?? "UTC"},
          ${rule.intervalSeconds ?? null}, to_timestamp(${instant(rule.anchorAt)}::float8), to_timestamp(${instant(rule.runAt)}::float8), ${endpointId},
          ${sql.json({ type: "http", method: "POST", path: "/hook" })}, ${sql.json(input as never)}
        from generate_series(1, ${count})
        returning tenant_id, id
      ), due as (
        insert into downbeat.schedule_due (tenant_id, schedule_id, next_run_at)
        select tenant_id, id, to_timestamp(${nextRunAt / 1000}::float8) from made where ${isDue}
      )
      select id from made`;
    const ids = rows.map((row) => row.id);
    if (Object.keys(policy).length > 0) {
      await transaction`
        update downbeat.schedules set ${transaction(policy as Record<string, string>)} where tenant_id = ${tenantId} and id = any(${ids}::uuid[])`;
    }
    return ids;
  });
}

/** Puts every schedule of the tenant into the due index. */
export async function makeDue(sql: Sql, { tenantId }: ArrangedEndpoint, nextRunAt: number): Promise<void> {
  await sql`insert into downbeat.schedule_due (tenant_id, schedule_id, next_run_at)
    select tenant_id, id, to_timestamp(${nextRunAt / 1000}::float8) from downbeat.schedules where tenant_id = ${tenantId}`;
}

/** The database's clock, in ms since 1970. */
export async function databaseNow(sql: Sql): Promise<number> {
  const [row] = await sql<{ at: number }[]>`select (extract(epoch from clock_timestamp()) * 1000)::float8 as at`;
  if (row === undefined) throw new Error("the database did not answer");
  return row.at;
}
