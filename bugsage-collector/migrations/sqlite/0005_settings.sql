-- What a project asks of those of its apps that follow it. Null leaves it to the app, as does a project that
-- has no row.

create table project_settings (
    project integer primary key references projects (id),
    -- The share of traces that is to be sampled.
    traces_rate real check (traces_rate between 0.0 and 1.0),
    -- From which level on lines of the log are to become events, and breadcrumbs.
    event_level text
        check (event_level in ('off', 'error', 'warn', 'info', 'debug', 'trace')),
    breadcrumb_level text
        check (breadcrumb_level in ('off', 'error', 'warn', 'info', 'debug', 'trace'))
) strict;
