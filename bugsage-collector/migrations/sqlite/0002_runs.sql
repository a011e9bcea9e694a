-- Runs of apps and what they counted by the hour: the health of a release. All of it is what senders
-- told last and most: merged by maximum, so that any order and repetition gives the same.

create table runs (
    id integer primary key,
    project integer not null references projects (id),
    run blob not null,
    -- Empty where the app told none; as the environment.
    release text not null,
    environment text not null,
    sdk text not null,
    started_at integer not null,
    -- 0 running, 1 unknown, 2 clean, 3 killed, 4 crashed, 5 panicked.
    ended integer not null,
    -- When it was last known to live, or when it ended; by its clock.
    alive_at integer not null,
    -- When it was first and last heard of, by the collector's clock.
    first_heard integer not null,
    last_heard integer not null,
    unique (project, run)
) strict;

create index runs_by_last_heard on runs (project, last_heard);
create index runs_by_release on runs (project, release, environment);

create table run_hours (
    id integer primary key,
    project integer not null references projects (id),
    -- Of table runs.
    run integer not null,
    hour integer not null,
    roots integer not null,
    roots_failed integer not null,
    unique (run, hour)
) strict;

create index run_hours_by_hour on run_hours (project, hour);

-- Users are no sum: the same may be in many runs. Sketches of all runs of a release and environment,
-- two bytes a mark, merged as they come.
create table user_hours (
    id integer primary key,
    project integer not null references projects (id),
    release text not null,
    environment text not null,
    hour integer not null,
    users blob not null,
    users_panicked blob not null,
    unique (project, release, environment, hour)
) strict;

create index user_hours_by_hour on user_hours (project, hour);

-- How many rows a project has in each of these tables, so that what it may have is known without
-- counting.
create table run_rows (
    project integer not null references projects (id),
    kind text not null,
    kept integer not null,
    primary key (project, kind)
) strict, without rowid;

-- What a release has to do with issues.
create index issue_releases_by_release on issue_releases (project, release);
create index issues_by_first_release on issues (project, first_release);
