-- The first schema: what an event needs to be received once, sorted into an issue, kept, and
-- forwarded. Every table is keyed by project (or organization) first. Times are microseconds since
-- the epoch, ids of 128 bits are blobs, documents are JSON.

create table organizations (
    id integer primary key,
    name text not null
) strict;

insert into organizations (id, name) values (1, 'default');

create table projects (
    id integer primary key autoincrement,
    organization integer not null references organizations (id),
    name text not null,
    -- A path on this machine; null where nobody told.
    repository text,
    created_at integer not null,
    unique (organization, name)
) strict;

-- Write-only, one project each. Kept after they are revoked, so that a key is never given twice.
create table ingest_keys (
    key text primary key,
    project integer not null references projects (id),
    created_at integer not null,
    revoked_at integer
) strict, without rowid;

-- Every batch that was ever taken: what makes a resend count once.
create table batches (
    project integer not null,
    id blob not null,
    events integer not null,
    received_at integer not null,
    primary key (project, id)
) strict, without rowid;

create table releases (
    project integer not null,
    name text not null,
    first_seen integer not null,
    last_seen integer not null,
    primary key (project, name)
) strict, without rowid;

create table issues (
    id integer primary key autoincrement,
    project integer not null references projects (id),
    kind text not null,
    level text not null,
    title text not null,
    class text not null,
    culprit text not null,
    status text not null,
    substatus text not null,
    severity text not null,
    events integer not null,
    users integer not null,
    first_seen integer not null,
    last_seen integer not null,
    first_release text,
    last_release text,
    latest_event blob,
    -- The latest case.
    latest_case blob,
    resolved_at integer,
    -- The newest release of the project when the issue was resolved.
    resolved_release text
) strict;

create index issues_by_last_seen on issues (project, last_seen);

-- An issue may own several, for ever. Weak ones begin with w: two bugs may share them.
create table fingerprints (
    project integer not null,
    fingerprint text not null,
    issue integer not null references issues (id),
    primary key (project, fingerprint)
) strict, without rowid;

create index fingerprints_by_issue on fingerprints (project, issue);

create table stacks (
    project integer not null,
    hash blob not null,
    document text not null,
    primary key (project, hash)
) strict, without rowid;

create table events (
    project integer not null,
    id blob not null,
    issue integer not null references issues (id),
    first_at integer not null,
    reports integer not null,
    stack blob,
    document text not null,
    primary key (project, id)
) strict, without rowid;

create index events_by_issue on events (project, issue, first_at);

-- Counters, exact after their events are gone.
create table issue_hours (
    project integer not null,
    issue integer not null,
    hour integer not null,
    events integer not null,
    primary key (project, issue, hour)
) strict, without rowid;

create table issue_releases (
    project integer not null,
    issue integer not null,
    release text not null,
    events integer not null,
    first_seen integer not null,
    last_seen integer not null,
    primary key (project, issue, release)
) strict, without rowid;

create table issue_users (
    project integer not null,
    issue integer not null,
    user text not null,
    primary key (project, issue, user)
) strict, without rowid;

-- Who did what to an issue: opened, resolved, ignored, regressed.
create table issue_history (
    project integer not null,
    issue integer not null,
    at integer not null,
    sequence integer not null,
    actor text not null,
    what text not null,
    primary key (project, issue, sequence)
) strict, without rowid;

-- What each run of an app says it lost, as running totals.
create table losses (
    project integer not null,
    run blob not null,
    reason text not null,
    reports integer not null,
    primary key (project, run, reason)
) strict, without rowid;

create table cases (
    project integer not null,
    id blob not null,
    issue integer not null references issues (id),
    state text not null,
    document text not null,
    created_at integer not null,
    updated_at integer not null,
    primary key (project, id)
) strict, without rowid;

create index cases_by_issue on cases (project, issue, created_at);

-- Every change of a case's state, kept after the case itself has forgotten it.
create table case_transitions (
    project integer not null,
    case_id blob not null,
    sequence integer not null,
    at integer not null,
    actor text not null,
    from_state text not null,
    to_state text not null,
    reason text not null,
    primary key (project, case_id, sequence)
) strict, without rowid;

-- Work for later, written in the transaction of its cause. Done jobs are deleted.
create table jobs (
    id integer primary key autoincrement,
    project integer not null,
    kind text not null,
    subject blob not null,
    run_after integer not null,
    attempts integer not null default 0,
    lease_owner text,
    lease_until integer,
    error text,
    unique (kind, subject)
) strict;

create index jobs_by_time on jobs (kind, run_after);
