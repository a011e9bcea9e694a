-- A store as schema 2 wrote it: real events of a test program, paths changed.
pragma foreign_keys = off;
BEGIN TRANSACTION;
CREATE TABLE batches (
    project integer not null,
    id blob not null,
    events integer not null,
    received_at integer not null,
    primary key (project, id)
) strict, without rowid;
INSERT INTO "batches" VALUES(1,X'01A2054DE46D7475A961774E47BA7160',1,1795385321046156);
INSERT INTO "batches" VALUES(1,X'01A2054DE6A876D1B14B3C224229276A',3,1795385321131485);
INSERT INTO "batches" VALUES(1,X'01A2054DE7B172D79E0AD10694ECF0B0',1,1795385321881575);
INSERT INTO "batches" VALUES(1,X'01A2054DEA92734DB535DB1F892F3EB7',1,1795385322601717);
INSERT INTO "batches" VALUES(1,X'01A2054E215F748898BD8F67D9304934',2,1795385336167945);
INSERT INTO "batches" VALUES(1,X'01A2054E21B9744BB40F91CB05AE2D5E',2,1795385336847456);
CREATE TABLE case_transitions (
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
CREATE TABLE cases (
    project integer not null,
    id blob not null,
    issue integer not null references issues (id),
    state text not null,
    document text not null,
    created_at integer not null,
    updated_at integer not null,
    primary key (project, id)
) strict, without rowid;
CREATE TABLE events (
    project integer not null,
    id blob not null,
    issue integer not null references issues (id),
    first_at integer not null,
    reports integer not null,
    stack blob,
    document text not null,
    primary key (project, id)
) strict, without rowid;
INSERT INTO "events" VALUES(1,X'01A2054DE3D57B8083201F7CF3394AD6',1,1795385320405092,1,X'6ED14D885C4C6A24C28163109D7C24C4','{"id":"01a2054d-e3d5-7b80-8320-1f7cf3394ad6","run":{"id":"01a2054d-e3d2-7dc4-9af5-1edfa97e15ee","release":"subject@1.2.3+0a1b2c3d","environment":"test","started_at":1795385320402957,"sdk":"bugsage-sdk@0.1.0"},"kind":"panic","level":"fatal","count":1,"first_at":1795385320405092,"last_at":1795385320405092,"deltas_us":[],"message":"index out of bounds: the len is 3 but the index is 7","errors":[],"location":{"file":"tests/programs/subject/panics.rs","line":37,"column":5},"thread":{"name":"worker-7","id":3},"stack":null,"spans":[],"breadcrumbs":[],"tags":[],"user":null,"contexts":[["os.name","linux"],["os.arch","x86_64"],["os.kernel","6.18.44-fc-v669"],["host.name","web-7"],["process.executable","subject"],["process.pid","8894"],["build.debug_assertions","on"],["build.panic","unwind"]]}');
INSERT INTO "events" VALUES(1,X'01A2054DE67774B09843F7667F319A9B',2,1795385321079817,1,NULL,'{"id":"01a2054d-e677-74b0-9843-f7667f319a9b","run":{"id":"01a2054d-e675-7bc4-ad7c-39b2cadd11bc","release":"subject@1.2.3+0a1b2c3d","environment":"test","started_at":1795385321077855,"sdk":"bugsage-sdk@0.1.0"},"kind":"log","level":"error","count":1,"first_at":1795385321079817,"last_at":1795385321079817,"deltas_us":[],"message":"message 2","errors":[],"location":{"file":"tests/programs/subject/delivery.rs","line":30,"column":9},"thread":{"name":"main","id":1},"stack":null,"spans":[],"breadcrumbs":[],"tags":[],"user":null,"contexts":[["os.name","linux"],["os.arch","x86_64"],["os.kernel","6.18.44-fc-v669"],["host.name","web-7"],["process.executable","subject"],["process.pid","8899"],["build.debug_assertions","on"],["build.panic","unwind"]]}');
INSERT INTO "events" VALUES(1,X'01A2054DE67777B4860F4B0B051210AB',2,1795385321079808,1,NULL,'{"id":"01a2054d-e677-77b4-860f-4b0b051210ab","run":{"id":"01a2054d-e675-7bc4-ad7c-39b2cadd11bc","release":"subject@1.2.3+0a1b2c3d","environment":"test","started_at":1795385321077855,"sdk":"bugsage-sdk@0.1.0"},"kind":"log","level":"error","count":1,"first_at":1795385321079808,"last_at":1795385321079808,"deltas_us":[],"message":"message 1","errors":[],"location":{"file":"tests/programs/subject/delivery.rs","line":30,"column":9},"thread":{"name":"main","id":1},"stack":null,"spans":[],"breadcrumbs":[],"tags":[],"user":null,"contexts":[["os.name","linux"],["os.arch","x86_64"],["os.kernel","6.18.44-fc-v669"],["host.name","web-7"],["process.executable","subject"],["process.pid","8899"],["build.debug_assertions","on"],["build.panic","unwind"]]}');
INSERT INTO "events" VALUES(1,X'01A2054DE677791C812ABE081234524F',2,1795385321079706,1,NULL,'{"id":"01a2054d-e677-791c-812a-be081234524f","run":{"id":"01a2054d-e675-7bc4-ad7c-39b2cadd11bc","release":"subject@1.2.3+0a1b2c3d","environment":"test","started_at":1795385321077855,"sdk":"bugsage-sdk@0.1.0"},"kind":"log","level":"error","count":1,"first_at":1795385321079706,"last_at":1795385321079706,"deltas_us":[],"message":"message 0","errors":[],"location":{"file":"tests/programs/subject/delivery.rs","line":30,"column":9},"thread":{"name":"main","id":1},"stack":null,"spans":[],"breadcrumbs":[],"tags":[],"user":null,"contexts":[["os.name","linux"],["os.arch","x86_64"],["os.kernel","6.18.44-fc-v669"],["host.name","web-7"],["process.executable","subject"],["process.pid","8899"],["build.debug_assertions","on"],["build.panic","unwind"]]}');
INSERT INTO "events" VALUES(1,X'01A2054DE73B7A799378A14D836A7508',1,1795385321275431,1,X'0DB6A04373DAA30DDC1FC8B273DB53AA','{"id":"01a2054d-e73b-7a79-9378-a14d836a7508","run":{"id":"01a2054d-e734-7803-b875-0fcbf10965c3","release":"subject@1.2.3+0a1b2c3d","environment":"test","started_at":1795385321268790,"sdk":"bugsage-sdk@0.1.0"},"kind":"panic","level":"fatal","count":1,"first_at":1795385321275431,"last_at":1795385321275431,"deltas_us":[],"message":"index out of bounds: the len is 3 but the index is 7","errors":[],"location":{"file":"tests/programs/subject/panics.rs","line":37,"column":5},"thread":{"name":"worker-7","id":3},"stack":null,"spans":[],"breadcrumbs":[],"tags":[],"user":null,"contexts":[["os.name","linux"],["os.arch","x86_64"],["os.kernel","6.18.44-fc-v669"],["host.name","web-7"],["process.executable","subject"],["process.pid","8908"],["build.debug_assertions","on"],["build.panic","unwind"]]}');
INSERT INTO "events" VALUES(1,X'01A2054DEA277765BE3C95FCBCEC2820',1,1795385322023953,1,X'FBA134475DB1BFC5BB9D8E46FDCDE877','{"id":"01a2054d-ea27-7765-be3c-95fcbcec2820","run":{"id":"01a2054d-ea25-7a5c-bef8-be5a55a44a71","release":"subject@1.2.3+0a1b2c3d","environment":"test","started_at":1795385322021874,"sdk":"bugsage-sdk@0.1.0"},"kind":"panic","level":"fatal","count":1,"first_at":1795385322023953,"last_at":1795385322023953,"deltas_us":[],"message":"index out of bounds: the len is 3 but the index is 7","errors":[],"location":{"file":"tests/programs/subject/panics.rs","line":37,"column":5},"thread":{"name":"worker-7","id":3},"stack":null,"spans":[],"breadcrumbs":[],"tags":[],"user":null,"contexts":[["os.name","linux"],["os.arch","x86_64"],["os.kernel","6.18.44-fc-v669"],["host.name","web-7"],["process.executable","subject"],["process.pid","8915"],["build.debug_assertions","on"],["build.panic","unwind"]]}');
INSERT INTO "events" VALUES(1,X'01A2054E212075669FB9282CB5BC8BDF',3,1795385336096776,1,NULL,'{"id":"01a2054e-2120-7566-9fb9-282cb5bc8bdf","run":{"id":"01a2054e-211e-779a-a90a-bacaade9cff9","release":"subject@1.2.3+0a1b2c3d","environment":"test","started_at":1795385336094573,"sdk":"bugsage-sdk@0.1.0"},"kind":"log","level":"info","count":1,"first_at":1795385336096776,"last_at":1795385336096776,"deltas_us":[],"message":"inside","errors":[],"location":{"file":"tests/programs/subject/context.rs","line":53,"column":26},"thread":{"name":"main","id":1},"stack":null,"spans":[{"name":"request","target":"subject::context","fields":[]},{"name":"inner","target":"subject::context","fields":[]}],"breadcrumbs":[],"tags":[["region","us"],["shard","1"]],"user":"u-request","contexts":[["os.name","linux"],["os.arch","x86_64"],["os.kernel","6.18.44-fc-v669"],["host.name","web-7"],["process.executable","subject"],["process.pid","9033"],["build.debug_assertions","on"],["build.panic","unwind"]]}');
INSERT INTO "events" VALUES(1,X'01A2054E2120761988C6DA3D367A8533',4,1795385336096939,1,NULL,'{"id":"01a2054e-2120-7619-88c6-da3d367a8533","run":{"id":"01a2054e-211e-779a-a90a-bacaade9cff9","release":"subject@1.2.3+0a1b2c3d","environment":"test","started_at":1795385336094573,"sdk":"bugsage-sdk@0.1.0"},"kind":"log","level":"info","count":1,"first_at":1795385336096939,"last_at":1795385336096939,"deltas_us":[],"message":"outside","errors":[],"location":{"file":"tests/programs/subject/context.rs","line":55,"column":5},"thread":{"name":"main","id":1},"stack":null,"spans":[],"breadcrumbs":[],"tags":[["region","eu"],["shard","1"]],"user":"u-process","contexts":[["os.name","linux"],["os.arch","x86_64"],["os.kernel","6.18.44-fc-v669"],["host.name","web-7"],["process.executable","subject"],["process.pid","9033"],["build.debug_assertions","on"],["build.panic","unwind"]]}');
INSERT INTO "events" VALUES(1,X'01A2054E218073B9817E16315BFB55B8',5,1795385336192275,1,X'50444218BFF3EE72DF1EEB6143F1A636','{"id":"01a2054e-2180-73b9-817e-16315bfb55b8","run":{"id":"01a2054e-217e-746b-b4c2-346eea667a30","release":"subject@1.2.3+0a1b2c3d","environment":"test","started_at":1795385336190220,"sdk":"bugsage-sdk@0.1.0"},"kind":"error","level":"error","count":1,"first_at":1795385336192275,"last_at":1795385336192275,"deltas_us":[],"message":"the order cannot be booked","errors":[{"type_name":"subject::errors::BookingError","message":"the order cannot be booked"},{"type_name":"ParseIntError","message":"invalid digit found in string"}],"location":{"file":"tests/programs/subject/errors.rs","line":40,"column":14},"thread":{"name":"main","id":1},"stack":null,"spans":[],"breadcrumbs":[],"tags":[],"user":null,"contexts":[["os.name","linux"],["os.arch","x86_64"],["os.kernel","6.18.44-fc-v669"],["host.name","web-7"],["process.executable","subject"],["process.pid","9036"],["build.debug_assertions","on"],["build.panic","unwind"]]}');
INSERT INTO "events" VALUES(1,X'01A2054E21807ED4AF202C62F1799CE5',6,1795385336192434,1,X'B5EBECB5284C991C2A04574BA957700D','{"id":"01a2054e-2180-7ed4-af20-2c62f1799ce5","run":{"id":"01a2054e-217e-746b-b4c2-346eea667a30","release":"subject@1.2.3+0a1b2c3d","environment":"test","started_at":1795385336190220,"sdk":"bugsage-sdk@0.1.0"},"kind":"error","level":"error","count":1,"first_at":1795385336192434,"last_at":1795385336192434,"deltas_us":[],"message":"the order cannot be booked","errors":[{"type_name":"BookingError","message":"the order cannot be booked"},{"type_name":"ParseIntError","message":"cannot parse integer from empty string"}],"location":{"file":"tests/programs/subject/errors.rs","line":47,"column":5},"thread":{"name":"main","id":1},"stack":null,"spans":[],"breadcrumbs":[],"tags":[],"user":null,"contexts":[["os.name","linux"],["os.arch","x86_64"],["os.kernel","6.18.44-fc-v669"],["host.name","web-7"],["process.executable","subject"],["process.pid","9036"],["build.debug_assertions","on"],["build.panic","unwind"]]}');
CREATE TABLE fingerprints (
    project integer not null,
    fingerprint text not null,
    issue integer not null references issues (id),
    primary key (project, fingerprint)
) strict, without rowid;
INSERT INTO "fingerprints" VALUES(1,'v1-1c44b062b65bf4d2410ea73518dff69f',1);
INSERT INTO "fingerprints" VALUES(1,'w1-8dd826f6111f65fbed290d697a210cb2',1);
INSERT INTO "fingerprints" VALUES(1,'w1-4cb99a8a83ead9794e174a2aca77e60e',2);
INSERT INTO "fingerprints" VALUES(1,'w1-7a6212b2f1668ef8f899ba78a767cbc8',3);
INSERT INTO "fingerprints" VALUES(1,'w1-c37851dd9bc211244279a948b5f1ba76',4);
INSERT INTO "fingerprints" VALUES(1,'v1-c7db43532768c0dba0f26f644d1b1ff4',5);
INSERT INTO "fingerprints" VALUES(1,'v1-ccb2e2a0822a5cddc2e72756d0dc2b57',6);
CREATE TABLE ingest_keys (
    key text primary key,
    project integer not null references projects (id),
    created_at integer not null,
    revoked_at integer
) strict, without rowid;
INSERT INTO "ingest_keys" VALUES('bsi_3711d83d93e04cff9204b8ca545bedba',1,1795385320132390,NULL);
CREATE TABLE issue_history (
    project integer not null,
    issue integer not null,
    at integer not null,
    sequence integer not null,
    actor text not null,
    what text not null,
    primary key (project, issue, sequence)
) strict, without rowid;
INSERT INTO "issue_history" VALUES(1,1,1795385320405092,1,'system','opened');
INSERT INTO "issue_history" VALUES(1,2,1795385321079706,1,'system','opened');
INSERT INTO "issue_history" VALUES(1,2,1795385336868244,2,'local:root','resolved');
INSERT INTO "issue_history" VALUES(1,3,1795385336096776,1,'system','opened');
INSERT INTO "issue_history" VALUES(1,4,1795385336096939,1,'system','opened');
INSERT INTO "issue_history" VALUES(1,5,1795385336192275,1,'system','opened');
INSERT INTO "issue_history" VALUES(1,6,1795385336192434,1,'system','opened');
CREATE TABLE issue_hours (
    project integer not null,
    issue integer not null,
    hour integer not null,
    events integer not null,
    primary key (project, issue, hour)
) strict, without rowid;
INSERT INTO "issue_hours" VALUES(1,1,498718,3);
INSERT INTO "issue_hours" VALUES(1,2,498718,3);
INSERT INTO "issue_hours" VALUES(1,3,498718,1);
INSERT INTO "issue_hours" VALUES(1,4,498718,1);
INSERT INTO "issue_hours" VALUES(1,5,498718,1);
INSERT INTO "issue_hours" VALUES(1,6,498718,1);
CREATE TABLE issue_releases (
    project integer not null,
    issue integer not null,
    release text not null,
    events integer not null,
    first_seen integer not null,
    last_seen integer not null,
    primary key (project, issue, release)
) strict, without rowid;
INSERT INTO "issue_releases" VALUES(1,1,'subject@1.2.3+0a1b2c3d',3,1795385320405092,1795385322023953);
INSERT INTO "issue_releases" VALUES(1,2,'subject@1.2.3+0a1b2c3d',3,1795385321079706,1795385321079817);
INSERT INTO "issue_releases" VALUES(1,3,'subject@1.2.3+0a1b2c3d',1,1795385336096776,1795385336096776);
INSERT INTO "issue_releases" VALUES(1,4,'subject@1.2.3+0a1b2c3d',1,1795385336096939,1795385336096939);
INSERT INTO "issue_releases" VALUES(1,5,'subject@1.2.3+0a1b2c3d',1,1795385336192275,1795385336192275);
INSERT INTO "issue_releases" VALUES(1,6,'subject@1.2.3+0a1b2c3d',1,1795385336192434,1795385336192434);
CREATE TABLE issue_users (
    project integer not null,
    issue integer not null,
    user text not null,
    primary key (project, issue, user)
) strict, without rowid;
INSERT INTO "issue_users" VALUES(1,3,'u-request');
INSERT INTO "issue_users" VALUES(1,4,'u-process');
CREATE TABLE issues (
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
INSERT INTO "issues" VALUES(1,1,'panic','fatal','index out of bounds: the len is 3 but the index is 7','index_out_of_bounds','subject::panics::pick','unresolved','new','high',3,0,1795385320405092,1795385322023953,'subject@1.2.3+0a1b2c3d','subject@1.2.3+0a1b2c3d',X'01A2054DEA277765BE3C95FCBCEC2820',NULL,NULL,NULL);
INSERT INTO "issues" VALUES(2,1,'log','error','message 2','log','tests/programs/subject/delivery.rs','resolved','new','low',3,0,1795385321079706,1795385321079817,'subject@1.2.3+0a1b2c3d','subject@1.2.3+0a1b2c3d',X'01A2054DE67774B09843F7667F319A9B',NULL,1795385336868244,'subject@1.2.3+0a1b2c3d');
INSERT INTO "issues" VALUES(3,1,'log','info','inside','log','tests/programs/subject/context.rs','unresolved','new','low',1,1,1795385336096776,1795385336096776,'subject@1.2.3+0a1b2c3d','subject@1.2.3+0a1b2c3d',X'01A2054E212075669FB9282CB5BC8BDF',NULL,NULL,NULL);
INSERT INTO "issues" VALUES(4,1,'log','info','outside','log','tests/programs/subject/context.rs','unresolved','new','low',1,1,1795385336096939,1795385336096939,'subject@1.2.3+0a1b2c3d','subject@1.2.3+0a1b2c3d',X'01A2054E2120761988C6DA3D367A8533',NULL,NULL,NULL);
INSERT INTO "issues" VALUES(5,1,'error','error','the order cannot be booked','ParseIntError','subject::errors::capture_known','unresolved','new','medium',1,0,1795385336192275,1795385336192275,'subject@1.2.3+0a1b2c3d','subject@1.2.3+0a1b2c3d',X'01A2054E218073B9817E16315BFB55B8',NULL,NULL,NULL);
INSERT INTO "issues" VALUES(6,1,'error','error','the order cannot be booked','ParseIntError','subject::errors::capture_boxed','unresolved','new','medium',1,0,1795385336192434,1795385336192434,'subject@1.2.3+0a1b2c3d','subject@1.2.3+0a1b2c3d',X'01A2054E21807ED4AF202C62F1799CE5',NULL,NULL,NULL);
CREATE TABLE jobs (
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
CREATE TABLE losses (
    project integer not null,
    run blob not null,
    reason text not null,
    reports integer not null,
    primary key (project, run, reason)
) strict, without rowid;
CREATE TABLE organizations (
    id integer primary key,
    name text not null
) strict;
INSERT INTO "organizations" VALUES(1,'default');
CREATE TABLE projects (
    id integer primary key autoincrement,
    organization integer not null references organizations (id),
    name text not null,
    -- A path on this machine; null where nobody told.
    repository text,
    created_at integer not null,
    unique (organization, name)
) strict;
INSERT INTO "projects" VALUES(1,1,'shop',NULL,1795385320132390);
CREATE TABLE releases (
    project integer not null,
    name text not null,
    first_seen integer not null,
    last_seen integer not null,
    primary key (project, name)
) strict, without rowid;
INSERT INTO "releases" VALUES(1,'subject@1.2.3+0a1b2c3d',1795385320405092,1795385336192434);
CREATE TABLE run_hours (
    id integer primary key,
    project integer not null references projects (id),
    -- Of table runs.
    run integer not null,
    hour integer not null,
    roots integer not null,
    roots_failed integer not null,
    unique (run, hour)
) strict;
INSERT INTO "run_hours" VALUES(1,1,5,498718,1,0);
CREATE TABLE run_rows (
    project integer not null references projects (id),
    kind text not null,
    kept integer not null,
    primary key (project, kind)
) strict, without rowid;
INSERT INTO "run_rows" VALUES(1,'run_hours',1);
INSERT INTO "run_rows" VALUES(1,'runs',6);
INSERT INTO "run_rows" VALUES(1,'user_hours',1);
CREATE TABLE runs (
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
INSERT INTO "runs" VALUES(1,1,X'01A2054DE3D27DC49AF51EDFA97E15EE','subject@1.2.3+0a1b2c3d','test','bugsage-sdk@0.1.0',1795385320402957,2,1795385320557309,1795385321046156,1795385321046156);
INSERT INTO "runs" VALUES(2,1,X'01A2054DE6757BC4AD7C39B2CADD11BC','subject@1.2.3+0a1b2c3d','test','bugsage-sdk@0.1.0',1795385321077855,2,1795385321128410,1795385321131485,1795385321131485);
INSERT INTO "runs" VALUES(3,1,X'01A2054DE7347803B8750FCBF10965C3','subject@1.2.3+0a1b2c3d','test','bugsage-sdk@0.1.0',1795385321268790,2,1795385321393128,1795385321881575,1795385321881575);
INSERT INTO "runs" VALUES(4,1,X'01A2054DEA257A5CBEF8BE5A55A44A71','subject@1.2.3+0a1b2c3d','test','bugsage-sdk@0.1.0',1795385322021874,2,1795385322130755,1795385322601717,1795385322601717);
INSERT INTO "runs" VALUES(5,1,X'01A2054E211E779AA90ABACAADE9CFF9','subject@1.2.3+0a1b2c3d','test','bugsage-sdk@0.1.0',1795385336094573,2,1795385336159582,1795385336167945,1795385336167945);
INSERT INTO "runs" VALUES(6,1,X'01A2054E217E746BB4C2346EEA667A30','subject@1.2.3+0a1b2c3d','test','bugsage-sdk@0.1.0',1795385336190220,2,1795385336249862,1795385336847456,1795385336847456);
CREATE TABLE stacks (
    project integer not null,
    hash blob not null,
    document text not null,
    primary key (project, hash)
) strict, without rowid;
INSERT INTO "stacks" VALUES(1,X'0DB6A04373DAA30DDC1FC8B273DB53AA','{"frames":[{"function":"subject::panics::pick","file":"/srv/shop/tests/programs/subject/panics.rs","line":37,"column":5,"address":5622048,"module":{"path":"/srv/shop/target/debug/subject","build_id":"5fb29055bf30bff0ad096b46158ee9ef5bc82ef1","base":93914194489344,"size":46516605751296},"inlined":false,"in_app":true},{"function":"subject::panics::in_thread::{{closure}}","file":"/srv/shop/tests/programs/subject/panics.rs","line":23,"column":19,"address":5466327,"module":{"path":"/srv/shop/target/debug/subject","build_id":"5fb29055bf30bff0ad096b46158ee9ef5bc82ef1","base":93914194489344,"size":46516605751296},"inlined":false,"in_app":true}],"symbolicated":true}');
INSERT INTO "stacks" VALUES(1,X'50444218BFF3EE72DF1EEB6143F1A636','{"frames":[{"function":"subject::errors::capture_known","file":"/srv/shop/tests/programs/subject/errors.rs","line":40,"column":14,"address":5439845,"module":{"path":"/srv/shop/target/debug/subject","build_id":"5fb29055bf30bff0ad096b46158ee9ef5bc82ef1","base":94277399941120,"size":17240064},"inlined":false,"in_app":true},{"function":"subject::errors::captured","file":"/srv/shop/tests/programs/subject/errors.rs","line":32,"column":5,"address":5444317,"module":{"path":"/srv/shop/target/debug/subject","build_id":"5fb29055bf30bff0ad096b46158ee9ef5bc82ef1","base":94277399941120,"size":17240064},"inlined":false,"in_app":true},{"function":"subject::main","file":"/srv/shop/tests/programs/subject/main.rs","line":51,"column":28,"address":5730931,"module":{"path":"/srv/shop/target/debug/subject","build_id":"5fb29055bf30bff0ad096b46158ee9ef5bc82ef1","base":94277399941120,"size":17240064},"inlined":false,"in_app":true},{"function":"core::ops::function::FnOnce::call_once","file":"/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/ops/function.rs","line":250,"column":5,"address":5525595,"module":{"path":"/srv/shop/target/debug/subject","build_id":"5fb29055bf30bff0ad096b46158ee9ef5bc82ef1","base":94277399941120,"size":17240064},"inlined":false,"in_app":false}],"symbolicated":true}');
INSERT INTO "stacks" VALUES(1,X'6ED14D885C4C6A24C28163109D7C24C4','{"frames":[{"function":"subject::panics::pick","file":"/srv/shop/tests/programs/subject/panics.rs","line":37,"column":5,"address":5622048,"module":{"path":"/srv/shop/target/debug/subject","build_id":"5fb29055bf30bff0ad096b46158ee9ef5bc82ef1","base":93825036255232,"size":46409940320256},"inlined":false,"in_app":true},{"function":"subject::panics::in_thread::{{closure}}","file":"/srv/shop/tests/programs/subject/panics.rs","line":23,"column":19,"address":5466327,"module":{"path":"/srv/shop/target/debug/subject","build_id":"5fb29055bf30bff0ad096b46158ee9ef5bc82ef1","base":93825036255232,"size":46409940320256},"inlined":false,"in_app":true}],"symbolicated":true}');
INSERT INTO "stacks" VALUES(1,X'B5EBECB5284C991C2A04574BA957700D','{"frames":[{"function":"subject::errors::capture_boxed","file":"/srv/shop/tests/programs/subject/errors.rs","line":47,"column":5,"address":5439670,"module":{"path":"/srv/shop/target/debug/subject","build_id":"5fb29055bf30bff0ad096b46158ee9ef5bc82ef1","base":94277399941120,"size":17240064},"inlined":false,"in_app":true},{"function":"subject::errors::captured","file":"/srv/shop/tests/programs/subject/errors.rs","line":33,"column":5,"address":5444349,"module":{"path":"/srv/shop/target/debug/subject","build_id":"5fb29055bf30bff0ad096b46158ee9ef5bc82ef1","base":94277399941120,"size":17240064},"inlined":false,"in_app":true},{"function":"subject::main","file":"/srv/shop/tests/programs/subject/main.rs","line":51,"column":28,"address":5730931,"module":{"path":"/srv/shop/target/debug/subject","build_id":"5fb29055bf30bff0ad096b46158ee9ef5bc82ef1","base":94277399941120,"size":17240064},"inlined":false,"in_app":true},{"function":"core::ops::function::FnOnce::call_once","file":"/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/core/src/ops/function.rs","line":250,"column":5,"address":5525595,"module":{"path":"/srv/shop/target/debug/subject","build_id":"5fb29055bf30bff0ad096b46158ee9ef5bc82ef1","base":94277399941120,"size":17240064},"inlined":false,"in_app":false}],"symbolicated":true}');
INSERT INTO "stacks" VALUES(1,X'FBA134475DB1BFC5BB9D8E46FDCDE877','{"frames":[{"function":"subject::panics::pick","file":"/srv/shop/tests/programs/subject/panics.rs","line":37,"column":5,"address":5622048,"module":{"path":"/srv/shop/target/debug/subject","build_id":"5fb29055bf30bff0ad096b46158ee9ef5bc82ef1","base":94119904620544,"size":46435583889408},"inlined":false,"in_app":true},{"function":"subject::panics::in_thread::{{closure}}","file":"/srv/shop/tests/programs/subject/panics.rs","line":23,"column":19,"address":5466327,"module":{"path":"/srv/shop/target/debug/subject","build_id":"5fb29055bf30bff0ad096b46158ee9ef5bc82ef1","base":94119904620544,"size":46435583889408},"inlined":false,"in_app":true}],"symbolicated":true}');
CREATE TABLE user_hours (
    id integer primary key,
    project integer not null references projects (id),
    release text not null,
    environment text not null,
    hour integer not null,
    users blob not null,
    users_panicked blob not null,
    unique (project, release, environment, hour)
) strict;
INSERT INTO "user_hours" VALUES(1,1,'subject@1.2.3+0a1b2c3d','test',498718,X'0179E17F',X'');
CREATE INDEX issues_by_last_seen on issues (project, last_seen);
CREATE INDEX fingerprints_by_issue on fingerprints (project, issue);
CREATE INDEX events_by_issue on events (project, issue, first_at);
CREATE INDEX cases_by_issue on cases (project, issue, created_at);
CREATE INDEX jobs_by_time on jobs (kind, run_after);
CREATE INDEX runs_by_last_heard on runs (project, last_heard);
CREATE INDEX runs_by_release on runs (project, release, environment);
CREATE INDEX run_hours_by_hour on run_hours (project, hour);
CREATE INDEX user_hours_by_hour on user_hours (project, hour);
CREATE INDEX issue_releases_by_release on issue_releases (project, release);
CREATE INDEX issues_by_first_release on issues (project, first_release);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('projects',1);
INSERT INTO "sqlite_sequence" VALUES('issues',6);
COMMIT;pragma user_version = 2;
