-- Time, exactly: policies for clock changes, lateness and overlap; calendars, pauses that end, backfills, the self-audit.
-- Locks: adding columns with constant defaults rewrites nothing; each `alter table` waits for open transactions of its table and then takes milliseconds, the one of
-- `runs` on all of its partitions. Its new index is built behind a lock that stops writes to the ledger while it is read once (a second for a few million runs). Rolling deploys: older dispatchers and executors go on working. They know no policy, so until they are gone a schedule with policies
-- of its own may be treated as one with the former defaults, and a spread or deferred one would be claimed at its due row's `next_run_at`.

alter table downbeat.tenants
  -- Limits; null: the installation's default.
  add column if not exists interval_seconds_min  integer check (interval_seconds_min > 0),
  add column if not exists schedules_max         integer check (schedules_max >= 0),
  add column if not exists runs_per_day_max      integer check (runs_per_day_max >= 0),
  -- The maintenance switch: occurrences due in [from, until) are skipped. `until` is null while nobody knows.
  add column if not exists maintenance_from      timestamptz,
  add column if not exists maintenance_until     timestamptz,
  add column if not exists maintenance_reason    text;

-- Named sets of days, times and periods; `tenant_id` is null for those every tenant may use. `entries` are texts as users write them (libs/timing/src/parse-calendar.ts).
create table if not exists downbeat.calendars (
  tenant_id   uuid        references downbeat.tenants (id),
  id          uuid        not null default gen_random_uuid(),
  name        text        not null,
  kind        text        not null check (kind in ('allow', 'blackout')),
  timezone    text        not null default 'UTC',
  entries     jsonb       not null,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  primary key (id)
);
create unique index if not exists calendars_name_key on downbeat.calendars (tenant_id, name) nulls not distinct;

alter table downbeat.schedules
  -- The preset the user named, if any; `cron_expression` is what it means.
  add column if not exists frequency       text,
  add column if not exists dst_gap         text     not null default 'run_at_gap_end' check (dst_gap in ('run_at_gap_end', 'shift', 'skip')),
  add column if not exists dst_overlap     text     not null default 'first' check (dst_overlap in ('first', 'last', 'both')),
  add column if not exists misfire         text     not null default 'latest' check (misfire in ('latest', 'all', 'skip')),
  -- Null: no limit.
  add column if not exists grace_seconds   integer  default 86400 check (grace_seconds >= 0),
  add column if not exists overlap         text     not null default 'skip' check (overlap in ('skip', 'queue_one', 'queue_all', 'allow', 'cancel_previous')),
  add column if not exists max_instances   smallint not null default 3 check (max_instances > 0),
  add column if not exists on_resume       text     not null default 'skip' check (on_resume in ('skip', 'latest', 'all')),
  -- One of the two at most.
  add column if not exists spread_seconds  integer  check (spread_seconds > 0),
  add column if not exists spread_share    real     check (spread_share is null or (spread_share > 0 and spread_share <= 1 and spread_seconds is null)),
  add column if not exists max_runs        integer  check (max_runs > 0),
  add column if not exists max_failures    integer  check (max_failures > 0),
  add column if not exists calendar_ids    uuid[]   not null default '{}',
  add column if not exists paused_until    timestamptz,
  add column if not exists completed_reason text,
  -- Version of the time zone database the rule was last evaluated with.
  add column if not exists tzdata          text;
create index if not exists schedules_calendar_ids on downbeat.schedules using gin (calendar_ids) where calendar_ids <> '{}';

-- The occurrence that is due at `next_run_at`, where that is another instant: the schedule is spread, paused until then, or put off.
alter table downbeat.schedule_due
  add column if not exists scheduled_for timestamptz;

alter table downbeat.runs
  -- How much later than `scheduled_for` a spread schedule starts.
  add column if not exists spread_ms    integer,
  -- The run that held its place when it was skipped or had to wait; for a canceled one, the run that replaced it.
  add column if not exists blocked_by   uuid,
  -- The schedule's next occurrence: no retry of this one is planned beyond it (rule W13). An attempt whose executor was lost is repeated all the same. Null: no such limit.
  add column if not exists retry_until  timestamptz;
-- What the self-audit cannot just count in the occurrence keys: few among many.
create index if not exists runs_stretches on downbeat.runs (schedule_id, scheduled_for) where range_from is not null or reason = 'schedule_changed';

-- Which runs of a schedule are under way, and which wait for their turn: what an executor asks before it starts one (pass-gate.ts). Written by every lease and so narrow,
-- with room on its pages for updates in place. A row says nothing by itself: a run holds the gate only while its state says that it has not ended.
create table if not exists downbeat.schedule_gates (
  tenant_id    uuid    not null,
  schedule_id  uuid    not null,
  holders      uuid[]  not null default '{}',
  waiting      uuid[]  not null default '{}',
  -- Occurrences that were started, for `max_runs`.
  started      bigint  not null default 0,
  primary key (tenant_id, schedule_id)
) with (fillfactor = 70);

-- Whether a run that a gate names has been seen to come to its end. A row that this statement's snapshot does not show may have been made a moment ago, of an occurrence however old,
-- and be under way; or its day has been dropped. `settleHeld`, which looks after it has the lock, tells the two apart. In PL/pgSQL with a fixed plan, which opens the one partition
-- the id lies in; as part of a statement, or planned anew each time, it would look at all of them.
create or replace function downbeat.has_run_ended(of_tenant uuid, run_id uuid) returns boolean
  language plpgsql stable parallel safe set plan_cache_mode = force_generic_plan
as $$
declare
  found_state text;
begin
  select state into found_state from downbeat.runs where tenant_id = of_tenant and id = run_id;
  return coalesce(found_state in ('succeeded', 'failed', 'canceled', 'skipped', 'missed'), false);
end
$$;

-- The journal of a schedule: who changed it, how, and why. `detail.before` holds the fields of the rule that an edit replaced, so that a past instant can be explained.
create sequence if not exists downbeat.schedule_events_id as bigint cache 20;
create table if not exists downbeat.schedule_events (
  tenant_id    uuid        not null,
  schedule_id  uuid        not null,
  id           bigint      not null default nextval('downbeat.schedule_events_id'),
  at           timestamptz not null default now(),
  actor        text        not null,
  event        text        not null check (event in
                 ('created', 'updated', 'paused', 'resumed', 'auto_paused', 'completed', 'deleted', 'backfill', 'audit_difference', 'moved')),
  reason       text,
  detail       jsonb       not null default '{}',
  primary key (tenant_id, schedule_id, id)
);
-- What a new version of the time zone database moved is asked for across schedules.
create index if not exists schedule_events_moved on downbeat.schedule_events (at) where event = 'moved';

-- Runs of a past stretch, asked for by a person and fed by the dispatcher a few at a time.
create table if not exists downbeat.backfills (
  tenant_id    uuid        not null,
  id           uuid        not null default gen_random_uuid(),
  schedule_id  uuid        not null,
  -- Occurrences in (from_at, to_at].
  from_at      timestamptz not null,
  to_at        timestamptz not null,
  -- The schedule's rule and calendars when it was asked for: what was planned is what runs.
  rule         jsonb       not null,
  state        text        not null default 'running' check (state in ('running', 'paused', 'completed', 'canceled')),
  concurrency  integer     not null check (concurrency > 0),
  -- Occurrences to run at the time of the plan, and how many of them have been made into runs.
  planned      integer     not null,
  fed          integer     not null default 0,
  -- The next occurrence to look at; null when none is left.
  next_at      timestamptz,
  -- Its runs under way, at most `concurrency`; those that have ended are counted and taken out by the next look.
  open_runs    uuid[]      not null default '{}',
  succeeded    integer     not null default 0,
  failed       integer     not null default 0,
  created_by   text        not null,
  created_at   timestamptz not null default now(),
  -- When the last of its runs had ended: of a canceled one, that is later than its cancellation.
  finished_at  timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, schedule_id) references downbeat.schedules (tenant_id, id)
);
create index if not exists backfills_unfinished on downbeat.backfills (created_at) where finished_at is null;
create index if not exists backfills_schedule on downbeat.backfills (tenant_id, schedule_id, created_at);

-- Runs of a tenant by day, kept only for tenants with `runs_per_day_max`.
create table if not exists downbeat.tenant_usage (
  tenant_id  uuid    not null references downbeat.tenants (id),
  day        date    not null,
  runs       integer not null default 0,
  primary key (tenant_id, day)
);

-- The self-audit: occurrences that should be in the ledger against those that are.
create table if not exists downbeat.audit_passes (
  id           uuid        not null default gen_random_uuid(),
  started_at   timestamptz not null,
  finished_at  timestamptz not null,
  from_at      timestamptz not null,
  to_at        timestamptz not null,
  schedules    integer     not null,
  expected     bigint      not null,
  recorded     bigint      not null,
  -- Occurrences without a row, and rows without an occurrence.
  lost         bigint      not null,
  unexpected   bigint      not null,
  -- The first of them: tenant, schedule, instant, which of the two.
  findings     jsonb       not null default '[]',
  primary key (id)
);
create index if not exists audit_passes_started_at on downbeat.audit_passes (started_at);

-- What dispatchers do for the installation as a whole, one row each: `audit`, and `tzdata`, whose subject is the version of the time zone database that schedules were last
-- looked at with. `value`: whose turn it is, since when the round goes on, how far it has come (libs/store/src/take-turn.ts).
create table if not exists downbeat.system_state (
  key         text        not null,
  value       jsonb       not null,
  updated_at  timestamptz not null default now(),
  primary key (key)
);

-- The clock changes of each zone in use in [from_at, until_at], as the named version of the time zone database has them, so that the next version can be compared with it.
create table if not exists downbeat.zone_changes (
  timezone  text        not null,
  tzdata    text        not null,
  from_at   timestamptz not null,
  until_at  timestamptz not null,
  -- Offset in ms at `from_at`, and changes from then on: [{at, offsetBeforeMs, offsetAfterMs}], `at` in ms since 1970.
  offset_ms integer     not null,
  changes   jsonb       not null,
  primary key (timezone)
);

-- Grants ---------------------------------------------------------------------------------------------------------------------------

grant select, insert, update, delete on downbeat.calendars to downbeat_api;
grant select, insert on downbeat.schedule_events to downbeat_api, downbeat_dispatcher, downbeat_executor;
grant usage on sequence downbeat.schedule_events_id to downbeat_api, downbeat_dispatcher, downbeat_executor;
grant select on downbeat.schedule_gates, downbeat.tenant_usage, downbeat.audit_passes, downbeat.system_state, downbeat.zone_changes to downbeat_api;
grant select, insert, update on downbeat.backfills to downbeat_api;
-- A run that a pause had canceled is made up for when the schedule is resumed.
grant update (due_at, schedule_revision) on downbeat.runs to downbeat_api;

grant select on downbeat.calendars, downbeat.schedule_gates to downbeat_dispatcher;
grant update (paused_until, completed_reason, tzdata) on downbeat.schedules to downbeat_dispatcher;
grant select, update on downbeat.backfills to downbeat_dispatcher;
grant select, insert, update, delete on downbeat.tenant_usage to downbeat_dispatcher;
grant select, insert, delete on downbeat.audit_passes to downbeat_dispatcher;
grant select, insert, update on downbeat.system_state, downbeat.zone_changes to downbeat_dispatcher;

grant select, insert, update on downbeat.schedule_gates to downbeat_executor;
-- Pausing a schedule that failed too often.
grant update (paused_at, pause_reason, revision, revised_at, updated_at) on downbeat.schedules to downbeat_executor;
grant select, delete on downbeat.schedule_due to downbeat_executor;

-- Row-level security ---------------------------------------------------------------------------------------------------------------

do $$
declare
  protected text;
begin
  foreach protected in array array['calendars', 'schedule_gates', 'schedule_events', 'backfills', 'tenant_usage'] loop
    execute format('alter table downbeat.%I enable row level security', protected);
    execute format('alter table downbeat.%I force row level security', protected);
    execute format('drop policy if exists tenant on downbeat.%I', protected);
    execute format('create policy tenant on downbeat.%I to downbeat_api
      using (downbeat.is_platform() or tenant_id = downbeat.current_tenant())
      with check (downbeat.is_platform() or tenant_id = downbeat.current_tenant())', protected);
    execute format('drop policy if exists workers on downbeat.%I', protected);
    execute format('create policy workers on downbeat.%I to downbeat_dispatcher, downbeat_executor using (true) with check (true)', protected);
  end loop;
end
$$;
-- Calendars of the installation can be read by every tenant, and written by an administrator only.
drop policy if exists shared on downbeat.calendars;
create policy shared on downbeat.calendars for select to downbeat_api using (tenant_id is null);
