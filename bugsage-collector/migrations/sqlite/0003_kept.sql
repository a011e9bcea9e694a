-- Every event is counted and its id remembered; whole ones are kept as samples, many to a pack. What the
-- tables held until now is carried over by the program, from the tables that are renamed here.

alter table events rename to old_events;
alter table stacks rename to old_stacks;
alter table issue_users rename to old_issue_users;
drop index events_by_issue;

-- The ids of all events that were ever counted: what makes an event count once in any batch.
create table seen_events (
    project integer not null,
    id blob not null,
    -- Of table events; null where it was only counted, or is kept no more.
    event integer,
    primary key (project, id)
) strict, without rowid;

-- Documents of events, JSON one after the other, compressed together.
create table packs (
    id integer primary key autoincrement,
    project integer not null references projects (id),
    created_at integer not null,
    -- How many bytes it has before compression.
    raw_bytes integer not null,
    documents blob not null
) strict;

create index packs_by_age on packs (project, created_at);
create index packs_by_project on packs (project);

-- What the packs of a project take, and how far those who make room have come: which events go first
-- is in store/sqlite/sweep.rs.
create table spaces (
    project integer primary key references projects (id),
    -- Of all its packs.
    bytes integer not null,
    -- Packs up to this one, by the time they were made and their id, were looked at for age.
    aged_at integer not null default 0,
    aged_pack integer not null default 0,
    -- Events that are less worth than this go, from the pack behind this one on.
    least_worth integer not null default 0,
    next_pack integer not null default 0,
    -- Bytes of what this pass has left so far, by what it is worth.
    left_bytes text not null default '{}'
) strict;

-- The id is that of the pack times 65,536, and the event's place in it.
create table events (
    id integer primary key,
    project integer not null,
    issue integer not null references issues (id),
    event blob not null,
    first_at integer not null,
    reports integer not null,
    stack integer,
    -- Where its document begins in the pack, and how long it is.
    at integer not null,
    bytes integer not null,
    -- Why it is kept: 0 as a sample, else bits: 1 the first of its issue, 2 the first of its issue in a
    -- release and environment, 4 the first after the issue was resolved.
    why integer not null,
    -- How many events of its issue were kept before it.
    ordinal integer not null
) strict;

create index events_by_issue on events (project, issue, first_at);

create table stacks (
    id integer primary key,
    project integer not null,
    hash blob not null,
    -- JSON, compressed.
    document blob not null,
    -- How many events have it. It goes with the last of them.
    kept integer not null default 0,
    unique (project, hash)
) strict;

-- Users of an issue as a sketch: two bytes a mark.
create table issue_users (
    project integer not null,
    issue integer not null,
    users blob not null,
    primary key (project, issue)
) strict, without rowid;

-- Counters that stay exact after their events are gone. Releases and environments that an issue was
-- seen in; empty where the app told none.
alter table issue_releases rename to old_issue_releases;
drop index issue_releases_by_release;

create table issue_variants (
    project integer not null,
    issue integer not null,
    release text not null,
    environment text not null,
    events integer not null,
    first_seen integer not null,
    last_seen integer not null,
    primary key (project, issue, release, environment)
) strict, without rowid;

create index issue_variants_by_release on issue_variants (project, release);

insert into issue_variants (project, issue, release, environment, events, first_seen, last_seen)
    select project, issue, release, '', events, first_seen, last_seen from old_issue_releases;

drop table old_issue_releases;

-- Values of release, environment and tags, by the number that counters have them under.
create table facets (
    id integer primary key,
    project integer not null,
    name text not null,
    value text not null,
    unique (project, name, value)
) strict;

-- Reports of the hour by facet: pairs of numbers. Null until something is counted by facet.
alter table issue_hours add column facets blob;

alter table issues add column latest_event_at integer not null default 0;
alter table issues add column kept integer not null default 0;
update issues set latest_event_at = last_seen;

-- What became of all that was received, in events and in reports: stored, sampled_out, duplicate,
-- filtered, limited, invalid. They add up to what was received, which stands here too.
create table ledger (
    project integer not null,
    -- Of table ingest_keys.
    key integer not null,
    hour integer not null,
    outcome text not null,
    reason text not null,
    events integer not null,
    reports integer not null,
    primary key (project, hour, key, outcome, reason)
) strict, without rowid;

-- Bodies that were turned away before anything in them was counted. Project 0 is nobody's: the key was
-- not known.
create table refusals (
    project integer not null,
    hour integer not null,
    reason text not null,
    requests integer not null,
    bytes integer not null,
    primary key (project, hour, reason)
) strict, without rowid;

-- How many events a project may send. Null is any number.
create table project_limits (
    project integer primary key references projects (id),
    -- In a minute: of all its keys together, and of each.
    rate integer,
    key_rate integer,
    -- In a month of UTC.
    monthly_quota integer
) strict;

-- Batches that the program failed at, as they came. Acknowledged like all others, and tried again when
-- somebody says so.
create table quarantine (
    project integer not null,
    batch blob not null,
    -- Of table ingest_keys.
    key integer not null,
    received_at integer not null,
    -- Where the program failed, and how.
    reason text not null,
    body blob not null,
    primary key (project, batch)
) strict;

alter table ingest_keys rename to old_ingest_keys;

-- Write-only, one project each. Kept after they are revoked, so that a key is never given twice.
create table ingest_keys (
    id integer primary key autoincrement,
    key text not null unique,
    project integer not null references projects (id),
    created_at integer not null,
    revoked_at integer
) strict;

insert into ingest_keys (key, project, created_at, revoked_at)
    select key, project, created_at, revoked_at from old_ingest_keys order by created_at, key;

drop table old_ingest_keys;
