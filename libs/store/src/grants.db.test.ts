import { createTestDatabase, type TestDatabase } from "@downbeat/testkit/test-database.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DatabaseRole } from "./connect.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

/** What a role may do with a table: s(elect), i(nsert), u(pdate of the whole row), d(elete). */
type Rights = Readonly<Record<string, string>>;

/** The whole of it: a right that is missing here and given in the schema fails the test, as does the reverse. */
const rightsOf: Readonly<Record<Exclude<DatabaseRole, "downbeat_migrator">, Rights>> = {
  downbeat_api: {
    tenants: "siu",
    endpoints: "siu",
    endpoint_secrets: "si",
    schedules: "siu",
    schedule_due: "siud",
    schedule_stats: "si",
    runs: "si",
    attempts: "s",
    run_events: "si",
    dispatch_passes: "s",
    api_keys: "siu",
    calendars: "siud",
    schedule_gates: "s",
    schedule_events: "si",
    backfills: "siu",
    tenant_usage: "s",
    audit_passes: "s",
    system_state: "s",
    zone_changes: "s",
  },
  downbeat_dispatcher: {
    tenants: "s",
    endpoints: "s",
    schedules: "s",
    schedule_due: "sud",
    schedule_stats: "siu",
    runs: "siu",
    attempts: "si",
    run_events: "si",
    dispatch_passes: "sid",
    calendars: "s",
    schedule_gates: "s",
    schedule_events: "si",
    backfills: "su",
    tenant_usage: "siud",
    audit_passes: "sid",
    system_state: "siu",
    zone_changes: "siu",
  },
  downbeat_executor: {
    tenants: "s",
    endpoints: "s",
    endpoint_secrets: "s",
    schedules: "s",
    schedule_due: "sd",
    schedule_stats: "siu",
    schedule_gates: "siu",
    schedule_events: "si",
    runs: "su",
    attempts: "si",
    run_events: "si",
    rejected_messages: "si",
  },
};

test.for(Object.keys(rightsOf) as (keyof typeof rightsOf)[])("%s may do what its process does and nothing more", async (role) => {
  const rows = await database.admin<{ name: string; rights: string }[]>`
    select relname as name, concat(
      case when has_table_privilege(${role}, oid, 'select') then 's' end, case when has_table_privilege(${role}, oid, 'insert') then 'i' end,
      case when has_table_privilege(${role}, oid, 'update') then 'u' end, case when has_table_privilege(${role}, oid, 'delete') then 'd' end,
      case when has_table_privilege(${role}, oid, 'truncate') then ' truncate' end, case when has_table_privilege(${role}, oid, 'references') then ' references' end,
      case when has_table_privilege(${role}, oid, 'trigger') then ' trigger' end) as rights
    from pg_class where relnamespace = 'downbeat'::regnamespace and relkind in ('r', 'p', 'v', 'm')`;
  const given = Object.fromEntries(rows.filter(({ rights }) => rights !== "").map(({ name, rights }) => [name, rights]));
  expect(given).toEqual(rightsOf[role]);
});

test("no role of a process owns anything, bypasses row-level security, or can make roles, databases or tables", async () => {
  const rows = await database.admin`
    select rolname, rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication or rolcanlogin as "isPowerful",
      has_schema_privilege(rolname, 'downbeat', 'create') or has_schema_privilege(rolname, 'public', 'create')
        or has_database_privilege(rolname, current_database(), 'create') as "mayCreate",
      exists (select from pg_class where relowner = pg_roles.oid) as "isOwner",
      exists (select from pg_auth_members where member = pg_roles.oid) as "isMember"
    from pg_roles where rolname in ('downbeat_api', 'downbeat_dispatcher', 'downbeat_executor') order by rolname`;
  const nothing = { isPowerful: false, mayCreate: false, isOwner: false, isMember: false };
  expect(rows).toEqual(["downbeat_api", "downbeat_dispatcher", "downbeat_executor"].map((rolname) => ({ rolname, ...nothing })));
});

test.for([
  ["the dispatcher cannot read signing secrets", "downbeat_dispatcher", "select sealed from downbeat.endpoint_secrets"],
  ["the dispatcher cannot read API keys", "downbeat_dispatcher", "select hash from downbeat.api_keys"],
  ["the dispatcher cannot change a rule", "downbeat_dispatcher", "update downbeat.schedules set target = '{}'"],
  ["the dispatcher cannot open a gate", "downbeat_dispatcher", "update downbeat.schedule_gates set holders = '{}'"],
  ["the dispatcher cannot change a calendar", "downbeat_dispatcher", "update downbeat.calendars set entries = '[]'"],
  ["the executor cannot change a rule", "downbeat_executor", "update downbeat.schedules set target = '{}'"],
  ["the executor cannot change a policy", "downbeat_executor", "update downbeat.schedules set overlap = 'allow'"],
  ["the executor cannot make something due", "downbeat_executor", "insert into downbeat.schedule_due select * from downbeat.schedule_due"],
  ["the API cannot open a gate", "downbeat_api", "update downbeat.schedule_gates set holders = '{}'"],
  ["the API cannot change what a tenant has used", "downbeat_api", "update downbeat.tenant_usage set runs = 0"],
  ["the API cannot change what the self-audit found", "downbeat_api", "update downbeat.audit_passes set lost = 0"],
  ["the executor cannot make runs", "downbeat_executor", "insert into downbeat.runs select * from downbeat.runs"],
  ["the executor cannot delete runs", "downbeat_executor", "delete from downbeat.runs"],
  ["the executor cannot change a secret", "downbeat_executor", "update downbeat.endpoint_secrets set sealed = ''"],
  ["the executor cannot move what is due", "downbeat_executor", "update downbeat.schedule_due set next_run_at = now()"],
  ["the API cannot rewrite what a run did", "downbeat_api", "update downbeat.runs set attempt = 1"],
  ["the API cannot write attempts", "downbeat_api", "insert into downbeat.attempts select * from downbeat.attempts"],
  ["nobody rewrites the journal: not the API", "downbeat_api", "update downbeat.run_events set actor = 'somebody else'"],
  ["nobody rewrites the journal: not the dispatcher", "downbeat_dispatcher", "delete from downbeat.run_events"],
  ["nobody rewrites the journal: not the executor", "downbeat_executor", "update downbeat.run_events set reason = null"],
  ["nobody rewrites a schedule's journal: not the API", "downbeat_api", "update downbeat.schedule_events set actor = 'somebody else'"],
  ["nobody rewrites a schedule's journal: not the dispatcher", "downbeat_dispatcher", "delete from downbeat.schedule_events"],
  ["nobody rewrites a schedule's journal: not the executor", "downbeat_executor", "update downbeat.schedule_events set reason = null"],
] as const)("%s", async ([, role, statement]) => {
  await expect(database.connectAs(role, 1).unsafe(statement)).rejects.toMatchObject({ code: "42501" });
});

test("nobody but the dispatcher and the API makes partitions", async () => {
  const rows = await database.admin<{ role: string }[]>`
    select rolname as role from pg_roles
    where rolname like 'downbeat_%' and has_function_privilege(oid, 'downbeat.ensure_run_partitions(timestamptz, timestamptz)', 'execute') order by 1`;
  expect(rows.map(({ role }) => role).filter((role) => !role.includes(" "))).toEqual([
    "downbeat_api",
    "downbeat_dispatcher",
    "downbeat_migrator",
  ]);
});
