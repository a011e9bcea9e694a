-- Traces: one row each, and what every batch had of it as one piece. Spans have no rows: most are never
-- looked at, and who looks at one wants its whole trace.

create table traces (
    id integer primary key,
    project integer not null references projects (id),
    trace blob not null,
    -- When its first piece came, by the collector's clock: what its age is counted from.
    created_at integer not null,
    -- The start of its first span and the end of its last, as far as they came.
    first_at integer not null,
    last_at integer not null,
    -- Spans in its pieces, how many of them failed, and how many more came than are kept of one trace.
    spans integer not null,
    failed integer not null,
    left_out integer not null,
    -- Of its pieces, before and after compression.
    raw_bytes integer not null,
    bytes integer not null,
    -- The span that stands for it: the root, or what came nearest to one so far. 2 has no parent, 1 is where
    -- a process's part begins, 0 is any.
    root_rank integer not null,
    root_at integer not null,
    root_ns integer not null,
    root_span blob not null,
    root_name text not null,
    release text,
    environment text,
    unique (project, trace)
) strict;

create index traces_by_age on traces (project, created_at);

create table trace_pieces (
    id integer primary key,
    project integer not null,
    -- Of table traces.
    trace integer not null,
    -- JSON, compressed: store/trace.rs.
    document blob not null
) strict;

create index trace_pieces_by_trace on trace_pieces (project, trace);

-- What the traces of a project take, and how far those who make room have come: store/sqlite/sweep/traces.rs.
create table trace_spaces (
    project integer primary key references projects (id),
    -- Of all its pieces.
    bytes integer not null,
    -- Traces up to this one, by the time they came and their id, were looked at for age.
    aged_at integer not null default 0,
    aged_trace integer not null default 0,
    -- And for room: 0 a pass that began in the middle, 1 one from the oldest on, 2 one that takes those of
    -- kept events too.
    pass integer not null default 0,
    next_at integer not null default 0,
    next_trace integer not null default 0
) strict;

-- The trace that a kept event was made in, which stays with it.
alter table events add column trace blob;

create index events_by_trace on events (project, trace) where trace is not null;

-- What became of all spans that were received, as table ledger has it of events.
create table span_ledger (
    project integer not null,
    -- Of table ingest_keys.
    key integer not null,
    hour integer not null,
    outcome text not null,
    reason text not null,
    spans integer not null,
    primary key (project, hour, key, outcome, reason)
) strict, without rowid;

-- What each run of an app says it lost of its spans, as running totals.
create table span_losses (
    project integer not null,
    run blob not null,
    reason text not null,
    spans integer not null,
    primary key (project, run, reason)
) strict, without rowid;
