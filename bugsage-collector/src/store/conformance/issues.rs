//! Issues, projects and keys: what is found, changed and refused.

use bugsage_core::id::{CaseId, EventId};
use bugsage_core::remote::RemoteSettings;

use crate::store::model::{IssueFilter, Limits, NewProject, Quota, Status};
use crate::store::{Store, StoreError};

use super::{
    NOW, Sender, all_issues, at, batch, counts, create, in_release, later, operator, panic,
};

pub(super) async fn issues_are_filtered_and_the_latest_stand_first(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let bank = Sender::new(store, "bank").await;
    shop.send(store, batch([at(panic("price"), later(1))]))
        .await;
    shop.send(store, batch([at(panic("stock"), later(3))]))
        .await;
    bank.send(store, batch([at(panic("price"), later(2))]))
        .await;
    set_status(store, Status::Ignored).await;

    let found = async |filter: IssueFilter| {
        let issues = store.issues(&operator(), filter).await.expect("is read");
        issues.iter().map(|issue| issue.id).collect::<Vec<_>>()
    };
    let all = || IssueFilter {
        limit: 10,
        ..IssueFilter::default()
    };

    assert_eq!(found(all()).await, [2, 3, 1]);
    assert_eq!(found(IssueFilter { limit: 2, ..all() }).await, [2, 3]);
    for project in ["bank", "2"] {
        let project = Some(project.to_owned());
        assert_eq!(found(IssueFilter { project, ..all() }).await, [3]);
    }
    let status = Some("unresolved".to_owned());
    assert_eq!(found(IssueFilter { status, ..all() }).await, [2, 3]);
    let words = vec!["PRICE".to_owned(), "bounds".to_owned()];
    assert_eq!(found(IssueFilter { words, ..all() }).await, [3, 1]);
    for nothing in ["%", "'", "price'--"] {
        let words = vec![nothing.to_owned()];
        assert_eq!(found(IssueFilter { words, ..all() }).await, [0_u64; 0]);
    }
}

pub(super) async fn a_change_of_status_is_written_down_with_its_actor(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    shop.send(store, batch([panic("price")])).await;
    let operator = operator();

    for status in [Status::Resolved, Status::Resolved, Status::Unresolved] {
        let set = store.set_status(&operator, 1, status, later(1)).await;
        assert_eq!(set.expect("can be written").status, status.as_str());
    }

    let detail = store.issue(&operator, 1).await.expect("is there");
    let history = detail.history.iter();
    let history: Vec<_> = history
        .map(|it| (it.actor.as_str(), it.what.as_str()))
        .collect();
    let actor = operator.actor();
    let expected = [
        ("system", "opened"),
        (actor, "resolved"),
        (actor, "reopened"),
    ];
    assert_eq!(history, expected, "once is enough");
}

pub(super) async fn a_resolved_issue_comes_back_with_a_newer_release_only(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    shop.send(store, batch([in_release("price", "shop@1.1.0")]))
        .await;
    set_status(store, Status::Resolved).await;
    let send = async |release: &str| {
        let event = at(in_release("price", release), later(2));
        shop.send(store, batch([event])).await;
        let issue = all_issues(store).await.remove(0);
        (issue.status, issue.substatus)
    };

    assert_eq!(send("shop@1.0.0").await.0, "resolved");
    assert_eq!(send("shop@1.1.0").await.0, "resolved");
    let back = send("shop@1.2.0").await;
    assert_eq!(back, ("unresolved".to_owned(), "regressed".to_owned()));
    set_status(store, Status::Ignored).await;
    assert_eq!(send("shop@1.3.0").await.0, "ignored");
    assert_eq!(counts(store).await, [5]);
}

pub(super) async fn a_name_of_a_project_is_given_once(store: &dyn Store) {
    create(store, "shop", None).await.expect("is free");

    let again = create(store, "shop", None).await;

    assert!(matches!(again, Err(StoreError::Exists { .. })), "{again:?}");
    let projects = store.projects(&operator()).await.expect("is read");
    assert_eq!(projects.len(), 1);
}

pub(super) async fn a_project_is_found_by_name_and_by_number(store: &dyn Store) {
    create(store, "shop", None).await.expect("is free");
    // A name that is another project's number: names come first.
    create(store, "1", None).await.expect("is free");

    for (name, id) in [("shop", 1), ("1", 2), ("2", 2)] {
        let repository = Some(format!("/srv/{name}"));
        let set = store
            .set_repository(&operator(), name, repository.clone())
            .await
            .expect("is there");
        assert_eq!((set.id, set.repository), (id, repository), "{name}");
    }
}

pub(super) async fn a_project_asks_its_apps_for_what_was_set_last(store: &dyn Store) {
    let (shop, bank) = (
        Sender::new(store, "shop").await,
        Sender::new(store, "bank").await,
    );
    let set = async |value: &str| {
        let asked = RemoteSettings::parse(value);
        let set = store
            .set_remote_settings(&operator(), "shop", asked)
            .await
            .expect("is there");
        assert_eq!((set.id, set.settings), (1, asked));
        let projects = store.projects(&operator()).await.expect("are read");
        assert_eq!(projects[0].settings, asked);
        assert_eq!(projects[1].settings, RemoteSettings::default());
        let quota = store.quota(&shop.scope, NOW).await.expect("is read");
        assert_eq!(quota.settings, asked, "{value}");
        quota
    };

    set("traces_rate=0.25, event_level=warn, breadcrumb_level=off").await;
    let limits = Limits {
        monthly_quota: Some(1_000),
        ..Limits::default()
    };
    let limited = store.set_limits(&operator(), "shop", limits).await;
    limited.expect("is there");
    // Beside limits too, and beside what was used of them.
    for value in ["traces_rate=0", "event_level=trace", ""] {
        assert_eq!(set(value).await.limits, limits, "stay as they are");
    }

    let other = store.quota(&bank.scope, NOW).await.expect("is read");
    assert_eq!(other, Quota::default());
    let nowhere = store
        .set_remote_settings(&operator(), "nowhere", RemoteSettings::default())
        .await;
    assert!(matches!(nowhere, Err(StoreError::NotFound { .. })));
    let by_key = store
        .set_remote_settings(&shop.scope, "shop", RemoteSettings::parse("traces_rate=1"))
        .await;
    assert!(by_key.is_err(), "an ingest key changes nothing");
}

pub(super) async fn a_key_opens_its_project_for_writing_and_nothing_else(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    shop.send(store, batch([panic("price")])).await;

    let unknown = store.ingest_scope("key-of-nobody").await;
    assert_eq!(unknown.expect("can be read"), None);
    let key = &shop.scope;
    let filter = IssueFilter {
        limit: 10,
        ..IssueFilter::default()
    };
    assert_eq!(store.issues(key, filter).await.expect("sees nothing"), []);
    assert_eq!(store.projects(key).await.expect("sees nothing"), []);
    assert!(store.issue(key, 1).await.is_err());
    assert!(store.events(key, 1, 10).await.is_err());
    let set = store.set_status(key, 1, Status::Ignored, NOW).await;
    assert!(set.is_err());
    let new = NewProject {
        name: "bank".to_owned(),
        repository: None,
        ingest_key: "key".to_owned(),
        at: NOW,
    };
    let created = store.create_project(key, new).await;
    assert!(matches!(created, Err(StoreError::Forbidden)), "{created:?}");
    let written = store.ingest(&operator(), batch([panic("price")])).await;
    assert!(matches!(written, Err(StoreError::Forbidden)), "{written:?}");
    assert_eq!(counts(store).await, [1]);
}

pub(super) async fn what_is_not_there_is_told(store: &dyn Store) {
    let operator = operator();
    let event = EventId::from_bytes([9; 16]);
    let case = CaseId::from_bytes([9; 16]);
    let errors = [
        store.issue(&operator, 7).await.err(),
        store.issue(&operator, u64::MAX).await.err(),
        store.events(&operator, 7, 10).await.err(),
        store.event(&operator, event).await.err(),
        store.case(&operator, case).await.err(),
        store.subject(&operator, 7).await.err(),
        store
            .set_status(&operator, 7, Status::Ignored, NOW)
            .await
            .err(),
        store.set_repository(&operator, "nobody", None).await.err(),
    ];
    for error in errors {
        assert!(
            matches!(error, Some(StoreError::NotFound { .. })),
            "{error:?}"
        );
    }
}

/// Changes the status of the first issue.
async fn set_status(store: &dyn Store, status: Status) {
    let set = store.set_status(&operator(), 1, status, later(1)).await;
    set.expect("can be written");
}
