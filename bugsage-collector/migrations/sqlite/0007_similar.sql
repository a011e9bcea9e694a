-- How issues look, for suggestions of which may be one bug. Issues of before have no row, and no suggestions.

create table portraits (
    project integer not null references projects (id),
    issue integer not null references issues (id),
    -- The version of what it is made of, and numbers of eight bits: made of the event that opened the issue, and
    -- never changed.
    vector blob not null,
    -- What it is mostly made of, the weightiest first: JSON, a list of texts.
    features text not null,
    primary key (project, issue)
) strict, without rowid;
