-- Issues that people know to be one bug, or two; and what fingerprints are made of.

-- The issue that this one is a part of. It counts on by itself, so that it can be taken out again at any time,
-- and what is shown of the whole is the sum. No part has parts.
alter table issues add column merged_into integer references issues (id);
-- The issue that it was merged into itself, which may be a part by now: the two are taken out together.
alter table issues add column merged_with integer references issues (id);

create index issues_by_whole on issues (merged_into) where merged_into is not null;

-- What counted: JSON, rules and values. Null where it was not written down.
alter table fingerprints add column reason text;
-- The first fingerprint of the event that brought this one.
alter table fingerprints add column brought_by text;
alter table fingerprints add column added_at integer;

-- The first fingerprint of the event; null where it was not written down.
alter table events add column fingerprint text;

-- What a project groups by instead of the built-in rules: all versions, the highest holds.
create table grouping_rules (
    project integer not null references projects (id),
    version integer not null,
    rules text not null,
    set_at integer not null,
    actor text not null,
    primary key (project, version)
) strict, without rowid;
