-- The first schema: who owns schedules, what is due, and the ledger of runs.
-- Locks: creates only; nothing that exists is touched. Rolling deploys: no process older than this migration exists.
--
-- Roles. `downbeat_migrator` owns everything and is used by `downbeat migrate` only. The API, the dispatcher and the executor each have a
-- role that may do what that process does and nothing more (rule K7); a login is made a member of exactly one of them. The API's role is
-- held to one tenant by row-level security: a transaction names its tenant in `app.tenant_id`, and without it sees no row at all.

create schema if not exists downbeat;
grant usage on schema downbeat to downbeat_api, downbeat_dispatcher, downbeat_executor;

-- The tenant a transaction speaks for; null when it named none.
create or replace function downbeat.current_tenant() returns uuid
  language sql stable parallel safe
  as $$ select nullif(current_setting('app.tenant_id', true), '')::uuid $$;

-- True in a transaction of an administrator, who is not confined to one tenant.
create or replace function downbeat.is_platform() returns boolean
  language sql stable parallel safe
  as $$ select coalesce(current_setting('app.scope', true), '') = 'platform' $$;

-- The smallest run id of an instant: UUIDv8, whose first 48 bits are milliseconds since 1970 (rule A1). Ids sort by `scheduled_for`, so
-- a day of runs is a range of ids and the partition of a run follows from its id.
create or replace function downbeat.first_run_id(at timestamptz) returns uuid
  language sql immutable parallel safe
  as $$ select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid $$;

create table if not exists downbeat.tenants (
  id          uuid        not null default gen_random_uuid(),
  slug        text        not null check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  name        text        not null,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  primary key (id),
  unique (slug)
);

-- A destination: base URL, signing secrets, settings. Secrets stand in a table of their own so that only the API and the executor may read them.
create table if not exists downbeat.endpoints (
  tenant_id          uuid        not null references downbeat.tenants (id),
  id                 uuid        not null default gen_random_uuid(),
  name               text        not null,
  base_url           text        not null,
  compat_signatures  boolean     not null default false,
  headers            jsonb       not null default '{}',
  timeout_ms         integer     not null default 15000 check (timeout_ms between 100 and 30000),
  revision           integer     not null default 1,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, name)
);

-- Sealed with AES-256-GCM outside the database (rule K5): the key never travels in SQL, and a row copied to another endpoint does not open.
create table if not exists downbeat.endpoint_secrets (
  tenant_id    uuid        not null,
  endpoint_id  uuid        not null,
  version      integer     not null,
  key_id       text        not null,
  sealed       bytea       not null,
  created_at   timestamptz not null default now(),
  expires_at   timestamptz,
  primary key (tenant_id, endpoint_id, version),
  foreign key (tenant_id, endpoint_id) references downbeat.endpoints (tenant_id, id)
);

-- The rule: when, whom, what. `revision` counts edits; a run remembers the revision that made it, and an edit or pause moves `revised_at`, so that an
-- executor can tell a future run of an older revision from the slot that was already due.
create table if not exists downbeat.schedules (
  tenant_id         uuid        not null references downbeat.tenants (id),
  id                uuid        not null default gen_random_uuid(),
  name              text        not null,
  kind              text        not null check (kind in ('cron', 'interval', 'once')),
  cron_expression   text,
  timezone          text        not null default 'UTC',
  interval_seconds  integer     check (interval_seconds > 0),
  anchor_at         timestamptz,
  run_at            timestamptz,
  starts_at         timestamptz,
  ends_at           timestamptz,
  endpoint_id       uuid        not null,
  target            jsonb       not null,
  input             jsonb       not null default '{}',
  revision          integer     not null default 1,
  revised_at        timestamptz not null default now(),
  paused_at         timestamptz,
  pause_reason      text,
  completed_at      timestamptz,
  deleted_at        timestamptz,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, endpoint_id) references downbeat.endpoints (tenant_id, id),
  check (case kind
    when 'cron' then cron_expression is not null
    when 'interval' then interval_seconds is not null and anchor_at is not null
    when 'once' then run_at is not null
  end)
);
create unique index if not exists schedules_name_key on downbeat.schedules (tenant_id, name) where deleted_at is null;

-- The due index (decision 0002): one narrow row for each schedule that has a next occurrence, and none for the paused, completed and deleted.
-- Claiming rewrites only these 64 bytes, never the rule itself.
create table if not exists downbeat.schedule_due (
  tenant_id    uuid        not null,
  schedule_id  uuid        not null,
  next_run_at  timestamptz not null,
  primary key (tenant_id, schedule_id),
  foreign key (tenant_id, schedule_id) references downbeat.schedules (tenant_id, id)
);
create index if not exists schedule_due_next_run_at on downbeat.schedule_due (next_run_at);

-- Counters of a schedule, kept off the claim path.
create table if not exists downbeat.schedule_stats (
  tenant_id             uuid        not null,
  schedule_id           uuid        not null,
  succeeded             bigint      not null default 0,
  failed                bigint      not null default 0,
  consecutive_failures  integer     not null default 0,
  last_run_at           timestamptz,
  last_state            text,
  last_error            text,
  primary key (tenant_id, schedule_id),
  foreign key (tenant_id, schedule_id) references downbeat.schedules (tenant_id, id)
);

-- The ledger. One row for each occurrence and for each manual request; states and who moves a run on: docs/state-machine.md.
-- No foreign keys: they would cost a look-up for each row of a claim, schedules are never deleted physically, and partitions are dropped whole.
create table if not exists downbeat.runs (
  tenant_id          uuid        not null,
  id                 uuid        not null,
  schedule_id        uuid        not null,
  schedule_revision  integer     not null,
  -- The occurrence, or the instant of the manual request.
  scheduled_for      timestamptz not null,
  -- '' for an occurrence of the rule, else the id of the request that asked for the run.
  trigger_id         text        not null default '',
  state              text        not null check (state in
                       ('pending', 'queued', 'running', 'retrying', 'succeeded', 'failed', 'canceled', 'skipped', 'missed')),
  -- Failure code, or why the run was canceled, skipped or missed. Closed list: libs/store/src/run-states.ts.
  reason             text,
  -- When the next attempt may start: `scheduled_for`, later the retry's instant.
  due_at             timestamptz not null,
  -- When silence becomes suspicious and the sweep takes the run up: unsent (`pending`), lost (`queued`), lease over (`running`), due (`retrying`).
  -- Null in final states, so the index holds live runs only.
  sweep_at           timestamptz,
  attempt            smallint    not null default 0,
  -- How often the run was sent again because no executor had taken it up.
  redrives           smallint    not null default 0,
  -- Fencing: only the holder of the newest lease may write (rule X3).
  lease_token        uuid,
  executor           text,
  queued_at          timestamptz,
  started_at         timestamptz,
  finished_at        timestamptz,
  http_status        smallint,
  -- A stretch of missed occurrences is one row: from `range_from` to `scheduled_for`, `range_count` of them.
  range_from         timestamptz,
  range_count        integer,
  created_at         timestamptz not null default now(),
  primary key (tenant_id, id)
) partition by range (id);
create index if not exists runs_sweep_at on downbeat.runs (sweep_at) where sweep_at is not null;
-- What did not go well is asked for across days ("failed runs"), and is few among many.
create index if not exists runs_not_succeeded on downbeat.runs (tenant_id, id) where state in ('failed', 'canceled', 'skipped', 'missed');

-- One row for each attempt that ended, or whose lease was lost (outcome `unknown`).
create table if not exists downbeat.attempts (
  tenant_id         uuid        not null,
  run_id            uuid        not null,
  attempt           smallint    not null,
  outcome           text        not null check (outcome in ('success', 'transient', 'limited', 'permanent', 'gone', 'blocked', 'unknown')),
  code              text,
  http_status       smallint,
  started_at        timestamptz,
  finished_at       timestamptz not null,
  response_excerpt  text,
  executor          text,
  primary key (tenant_id, run_id, attempt)
) partition by range (run_id);

-- The journal of everything that is not the ordinary path (decision 0003): who changed a run's state, to what, and why.
create sequence if not exists downbeat.run_events_id as bigint cache 100;
create table if not exists downbeat.run_events (
  tenant_id  uuid        not null,
  run_id     uuid        not null,
  id         bigint      not null default nextval('downbeat.run_events_id'),
  at         timestamptz not null default now(),
  actor      text        not null,
  event      text        not null,
  reason     text,
  primary key (tenant_id, run_id, id)
) partition by range (run_id);

-- One row for each dispatcher pass: what it claimed, sent and swept.
create table if not exists downbeat.dispatch_passes (
  id           uuid        not null default gen_random_uuid(),
  dispatcher   text        not null,
  started_at   timestamptz not null,
  finished_at  timestamptz not null,
  claimed      integer     not null,
  missed       integer     not null,
  sent         integer     not null,
  send_failed  integer     not null,
  swept        integer     not null,
  error        text,
  primary key (id)
);
create index if not exists dispatch_passes_started_at on downbeat.dispatch_passes (started_at);

-- Messages that could not be read or name runs that do not exist, kept so that nothing disappears (rule X8).
create table if not exists downbeat.rejected_messages (
  id           uuid        not null default gen_random_uuid(),
  received_at  timestamptz not null default now(),
  message_id   text        not null,
  reason       text        not null,
  body         text        not null,
  primary key (id)
);

-- Random keys need no slow hash (rule K6): the SHA-256 is stored, the key is shown once. `tenant_id` is null for an administrator's key.
create table if not exists downbeat.api_keys (
  id            text        not null,
  tenant_id     uuid        references downbeat.tenants (id),
  scope         text        not null check (scope in ('admin', 'tenant', 'read')),
  name          text        not null,
  hash          bytea       not null,
  created_at    timestamptz not null default now(),
  expires_at    timestamptz,
  revoked_at    timestamptz,
  last_used_at  timestamptz,
  primary key (id),
  check ((scope = 'admin') = (tenant_id is null))
);

-- Partitions -----------------------------------------------------------------------------------------------------------------------

-- Creates the partitions of runs, attempts and run_events for the days of `[from_at, to_at]` (UTC) that do not exist yet; returns how many days it made.
-- Runs as its owner so that the dispatcher and the API need no right to create tables. Concurrent calls wait for each other.
create or replace function downbeat.ensure_run_partitions(from_at timestamptz, to_at timestamptz) returns integer
  language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  day date := (from_at at time zone 'UTC')::date;
  last_day constant date := (to_at at time zone 'UTC')::date;
  made integer := 0;
  parent text;
  part text;
begin
  if last_day - day > 400 then
    raise exception 'refusing to create partitions for % days at once', last_day - day;
  end if;
  while day <= last_day loop
    if to_regclass(format('downbeat.runs_%s', to_char(day, 'YYYYMMDD'))) is null then
      perform pg_advisory_xact_lock(hashtext('downbeat.ensure_run_partitions'));
      foreach parent in array array['runs', 'attempts', 'run_events'] loop
        part := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
        if to_regclass('downbeat.' || part) is null then
          -- Made apart and then attached: "create table ... partition of" would lock the parent against everybody, and behind one long reader stop the whole system.
          execute format('create table downbeat.%I (like downbeat.%I including defaults including constraints including storage)', part, parent);
          execute format('alter table downbeat.%I enable row level security', part);
          execute format('alter table downbeat.%I force row level security', part);
          execute format('alter table downbeat.%I attach partition downbeat.%I for values from (%L) to (%L)', parent, part,
            downbeat.first_run_id(day::timestamp at time zone 'UTC'), downbeat.first_run_id((day + 1)::timestamp at time zone 'UTC'));
        end if;
      end loop;
      -- The id already is a function of these three; the key says so in the schema's own words, and serves "runs of a schedule". It is made on the partition
      -- because a unique key of the parent would have to contain the id. It does not begin with the tenant, so that no plan mistakes it for the primary key.
      execute format('create unique index if not exists %I on downbeat.%I (schedule_id, scheduled_for, trigger_id, tenant_id)',
        format('runs_%s_occurrence_key', to_char(day, 'YYYYMMDD')), format('runs_%s', to_char(day, 'YYYYMMDD')));
      made := made + 1;
    end if;
    day := day + 1;
  end loop;
  return made;
end
$$;
revoke all on function downbeat.ensure_run_partitions(timestamptz, timestamptz) from public;
grant execute on function downbeat.ensure_run_partitions(timestamptz, timestamptz) to downbeat_dispatcher, downbeat_api;

select downbeat.ensure_run_partitions(now() - interval '1 day', now() + interval '7 days');

-- Grants ---------------------------------------------------------------------------------------------------------------------------

grant select, insert, update on downbeat.tenants, downbeat.endpoints, downbeat.schedules, downbeat.api_keys to downbeat_api;
grant select, insert on downbeat.endpoint_secrets, downbeat.run_events, downbeat.schedule_stats to downbeat_api;
grant select, insert, update, delete on downbeat.schedule_due to downbeat_api;
grant select, insert, update (state, reason, sweep_at, finished_at) on downbeat.runs to downbeat_api;
grant select on downbeat.attempts, downbeat.dispatch_passes to downbeat_api;
grant usage on sequence downbeat.run_events_id to downbeat_api, downbeat_dispatcher, downbeat_executor;

grant select on downbeat.tenants, downbeat.endpoints to downbeat_dispatcher;
grant select, update (completed_at, paused_at, pause_reason, revision, revised_at, updated_at) on downbeat.schedules to downbeat_dispatcher;
grant select, update, delete on downbeat.schedule_due to downbeat_dispatcher;
grant select, insert, update on downbeat.runs, downbeat.schedule_stats to downbeat_dispatcher;
grant select, insert on downbeat.attempts, downbeat.run_events to downbeat_dispatcher;
grant select, insert, delete on downbeat.dispatch_passes to downbeat_dispatcher;

grant select on downbeat.tenants, downbeat.endpoints, downbeat.endpoint_secrets, downbeat.schedules to downbeat_executor;
grant select, update on downbeat.runs to downbeat_executor;
grant select, insert, update on downbeat.schedule_stats to downbeat_executor;
grant select, insert on downbeat.attempts, downbeat.run_events, downbeat.rejected_messages to downbeat_executor;

-- Row-level security ---------------------------------------------------------------------------------------------------------------

do $$
declare
  protected text;
begin
  foreach protected in array array['endpoints', 'endpoint_secrets', 'schedules', 'schedule_due', 'schedule_stats', 'runs', 'attempts', 'run_events', 'api_keys'] loop
    execute format('alter table downbeat.%I enable row level security', protected);
    execute format('alter table downbeat.%I force row level security', protected);
    execute format('drop policy if exists tenant on downbeat.%I', protected);
    execute format('create policy tenant on downbeat.%I to downbeat_api
      using (downbeat.is_platform() or tenant_id = downbeat.current_tenant())
      with check (downbeat.is_platform() or tenant_id = downbeat.current_tenant())', protected);
    -- The workers serve all tenants; what they may touch is bounded by their grants.
    execute format('drop policy if exists workers on downbeat.%I', protected);
    execute format('create policy workers on downbeat.%I to downbeat_dispatcher, downbeat_executor using (true) with check (true)', protected);
  end loop;
end
$$;
alter table downbeat.tenants enable row level security;
alter table downbeat.tenants force row level security;
drop policy if exists tenant on downbeat.tenants;
create policy tenant on downbeat.tenants to downbeat_api
  using (downbeat.is_platform() or id = downbeat.current_tenant())
  with check (downbeat.is_platform());
drop policy if exists workers on downbeat.tenants;
create policy workers on downbeat.tenants to downbeat_dispatcher, downbeat_executor using (true);
