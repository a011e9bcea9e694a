//! What people say belongs together, and that it stays so.

use crate::store::grouping::Regroup;
use crate::store::model::Status;

use super::*;

async fn regroup(store: &dyn Store, regroup: Regroup) -> Result<Issue, StoreError> {
    store.regroup(&operator(), regroup, later(2_000)).await
}

async fn refused(store: &dyn Store, wanted: Regroup, part: &str) {
    let error = regroup(store, wanted).await.expect_err("is refused");
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert!(error.to_string().contains(part), "{error}");
}

/// Three issues with one event each, of users of their own.
async fn three(store: &dyn Store) -> (Sender, [u64; 3]) {
    let shop = Sender::new(store, "shop").await;
    let of = |name: &str, hours| {
        let user = Some(format!("user of {name}").as_str().into());
        Event {
            user,
            ..at(panic(name), later(hours))
        }
    };
    let events = [of("cart", 3), of("price", 1), of("mail", 2)];
    shop.send(store, batch(events)).await;
    let ids: Vec<u64> = all_issues(store).await.iter().map(|it| it.id).collect();
    (shop, ids.try_into().expect("are three"))
}

pub(super) async fn merged_issues_count_as_one_and_come_apart_as_they_were(store: &dyn Store) {
    let (shop, [cart, price, mail]) = three(store).await;
    let before = all_issues(store).await;

    let merge = Regroup::Merge {
        into: cart,
        issues: vec![price, mail],
    };
    let whole = regroup(store, merge.clone()).await.expect("are merged");

    assert_eq!((whole.id, whole.events, whole.users), (cart, 3, 3));
    assert_eq!((whole.first_seen, whole.last_seen), (later(1), later(3)));
    assert_eq!(all_issues(store).await.len(), 1);
    regroup(store, merge).await.expect("stays as it is");
    let detail = store.issue(&operator(), cart).await.expect("is there");
    assert_eq!(detail.parts.len(), 2);
    let hours: u64 = detail.hours.iter().map(|(_, events)| events).sum();
    assert_eq!((hours, detail.releases[0].events), (3, 3));
    let events = store.events(&operator(), cart, 10).await.expect("are read");
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event.issue == cart));

    // It sticks: what comes later is counted by the part, and shown of the whole.
    let again = at(panic("price"), later(9));
    shop.send(store, batch([again])).await;
    let whole = &all_issues(store).await[0];
    assert_eq!((whole.events, whole.last_seen), (4, later(9)));

    let apart = Regroup::Unmerge { part: price };
    let apart = regroup(store, apart).await.expect("is taken out");
    assert_eq!((apart.id, apart.events), (price, 2));
    let mail = Regroup::Unmerge { part: mail };
    regroup(store, mail).await.expect("is taken out");
    let after = all_issues(store).await;
    assert_eq!(after[0].events, before[0].events);
    assert_eq!(after[2].events, before[2].events);
    assert_eq!(after[2].first_seen, before[2].first_seen);
    let history = store.issue(&operator(), price).await.expect("is there");
    let what: Vec<&str> = history.history.iter().map(|it| &*it.what).collect();
    let merged = format!("merged into issue {cart}");
    let taken = format!("taken out of issue {cart}");
    assert_eq!(what, ["opened", &merged, &taken]);
}

pub(super) async fn what_is_said_of_a_part_is_said_of_the_whole(store: &dyn Store) {
    let (shop, [cart, price, mail]) = three(store).await;
    let merge = |into, issue| Regroup::Merge {
        into,
        issues: vec![issue],
    };
    regroup(store, merge(price, mail))
        .await
        .expect("are merged");
    // With its part.
    regroup(store, merge(cart, price))
        .await
        .expect("are merged");
    assert_eq!(all_issues(store).await[0].events, 3);

    let scope = operator();
    let resolved = store.set_status(&scope, mail, Status::Resolved, later(2_000));
    let resolved = resolved.await.expect("is resolved");
    assert_eq!((resolved.id, &*resolved.status), (cart, "resolved"));

    let newer = at(in_release("price", "shop@2.0.0"), later(3_000));
    shop.send(
        store,
        grouped(
            decoded(BatchId::from_bytes([9; 16]), [newer], []),
            later(3_000),
        ),
    )
    .await;
    let whole = &all_issues(store).await[0];
    assert_eq!((whole.id, &*whole.substatus), (cart, "regressed"));
    assert_eq!(whole.last_release.as_deref(), Some("shop@2.0.0"));
}

pub(super) async fn a_part_comes_out_with_its_own_parts_and_its_own_standing(store: &dyn Store) {
    let (shop, [cart, price, mail]) = three(store).await;
    let merge = |into, issue| Regroup::Merge {
        into,
        issues: vec![issue],
    };
    let scope = operator();
    for issue in [price, mail] {
        let resolved = store.set_status(&scope, issue, Status::Resolved, later(10));
        resolved.await.expect("is resolved");
    }
    for (into, issue) in [(price, mail), (cart, price)] {
        let merged = regroup(store, merge(into, issue)).await;
        merged.expect("are merged");
    }
    let again = at(panic("mail"), later(9));
    shop.send(store, batch([again])).await;
    let whole = all_issues(store).await.remove(0);
    assert_eq!(
        (whole.id, whole.events, whole.last_seen),
        (cart, 4, later(9))
    );

    let apart = regroup(store, Regroup::Unmerge { part: price }).await;

    let apart = apart.expect("is taken out");
    assert_eq!((apart.events, &*apart.status), (3, "resolved"));
    let detail = store.issue(&operator(), price).await.expect("is there");
    let parts: Vec<u64> = detail.parts.iter().map(|part| part.id).collect();
    assert_eq!(parts, [mail]);
    let whole = store.issue(&operator(), cart).await.expect("is there");
    assert_eq!((whole.issue.events, whole.issue.last_seen), (1, later(3)));
    assert_eq!(whole.issue.status, "unresolved");
    assert_eq!(whole.parts, []);
    // Out of the middle: the part of a part goes alone.
    let merged = regroup(store, merge(cart, price)).await;
    merged.expect("are merged");
    let apart = regroup(store, Regroup::Unmerge { part: mail }).await;
    assert_eq!(apart.expect("is taken out").events, 2);
    assert_eq!(counts(store).await, [2, 2]);
}

pub(super) async fn a_fingerprint_that_is_split_off_stays_apart(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let called_by = |name: &str| panic_called_by("cart", name);
    // A release that does not name its closures, and then a build that does: one issue by a weak fingerprint.
    shop.send(store, batch([called_by("{closure#0}")])).await;
    shop.send(store, batch([called_by("shop::run::{{closure}}")]))
        .await;
    let issue = all_issues(store).await[0].id;
    let detail = store.issue(&operator(), issue).await.expect("is there");
    let brought: Vec<String> = detail
        .fingerprints
        .iter()
        .filter_map(|it| it.brought_by.clone())
        .collect();
    let second = brought.last().expect("has some").clone();
    assert_ne!(brought[0], second);
    let split = Regroup::Split {
        issue,
        fingerprint: second,
    };

    let new = regroup(store, split.clone()).await.expect("is split");

    assert!(new.latest_event.is_some(), "the kept event goes along");
    assert_eq!(counts(store).await, [1, 1]);
    shop.send(store, batch([called_by("shop::run::{{closure}}")]))
        .await;
    shop.send(store, batch([called_by("{closure#7}")])).await;
    assert_eq!(counts(store).await, [2, 2]);
    let Regroup::Split { fingerprint, .. } = split else {
        return;
    };
    let issue = new.id;
    // What several fingerprints lead to is told by the first of them alone.
    let weak = detail
        .fingerprints
        .iter()
        .find(|it| it.brought_by.as_deref() != Some(&*it.fingerprint));
    let weak = Regroup::Split {
        issue: detail.issue.id,
        fingerprint: weak.expect("has some").fingerprint.clone(),
    };
    refused(store, weak, "go by first").await;
    let alone = Regroup::Split { issue, fingerprint };
    refused(store, alone, "nothing to split").await;
}

pub(super) async fn what_is_split_off_counts_as_if_it_had_come_alone(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let of = |caller: &str, release: &str, hours, user: &str| Event {
        message: format!("slot {} is out of order", caller.len()).into(),
        user: Some(user.into()),
        count: 5,
        run: Arc::new(Run {
            environment: Some("live".into()),
            ..Run::clone(&in_release("cart", release).run)
        }),
        tags: vec![("shard".into(), release.into())],
        ..at(panic_called_by("cart", caller), later(hours))
    };
    // One issue by a weak fingerprint.
    let stays = [
        of("{closure#0}", "shop@1.0.0", 2, "ada"),
        of("{closure#0}", "shop@1.1.0", 3, "ada"),
    ];
    let goes = [
        of("shop::run::{{closure}}", "shop@0.9.0", 1, "ben"),
        of("shop::run::{{closure}}", "shop@1.1.0", 3, "cid"),
        of("shop::run::{{closure}}", "shop@1.2.0", 4, "ben"),
    ];
    shop.send(store, batch(stays.clone())).await;
    shop.send(store, batch(goes.clone())).await;
    let issue = all_issues(store).await[0].id;
    let detail = store.issue(&operator(), issue).await.expect("is there");
    let mut brought = detail
        .fingerprints
        .iter()
        .filter_map(|it| it.brought_by.clone());
    let split = Regroup::Split {
        issue,
        fingerprint: brought.next_back().expect("has some"),
    };

    let new = regroup(store, split).await.expect("is split");

    // Beside a store that never had the two as one.
    for (part, events) in [(issue, &stays[..]), (new.id, &goes[..])] {
        let alone = Sender::new(store, &format!("alone {part}")).await;
        alone.send(store, batch(events.to_vec())).await;
        let all = all_issues(store).await;
        let expected = all.iter().find(|it| it.project == alone.project.id);
        let expected = expected.expect("is opened").id;
        let expected = store.issue(&operator(), expected).await.expect("is there");
        let found = store.issue(&operator(), part).await.expect("is there");
        let told = |issue: &Issue| {
            (
                issue.events,
                issue.first_seen,
                issue.last_seen,
                issue.first_release.clone(),
                issue.last_release.clone(),
                issue.title.clone(),
                issue.class.clone(),
                issue.culprit.clone(),
                issue.latest_event.is_some(),
            )
        };
        assert_eq!(told(&found.issue), told(&expected.issue));
        assert_eq!(found.hours, expected.hours);
        assert_eq!(found.releases, expected.releases);
    }
    assert_eq!(new.users, 2);
}

pub(super) async fn an_issue_of_several_classes_tells_of_the_latest(store: &dyn Store) {
    let shop = Sender::new(store, "shop").await;
    let of = |message: &str, hours| Event {
        message: message.into(),
        tags: vec![(FINGERPRINT_TAG.into(), "one".into())],
        ..at(panic("cart"), later(hours))
    };
    let index = of("index out of bounds: the len is 3 but the index is 7", 2);
    let unwrap = of("called `Option::unwrap()` on a `None` value", 3);
    let overflow = of("attempt to add with overflow", 1);
    for (event, class) in [
        (index, "index_out_of_bounds"),
        (unwrap, "unwrap_none"),
        (overflow, "unwrap_none"),
    ] {
        shop.send(store, batch([event])).await;
        assert_eq!(all_issues(store).await[0].class, class);
    }
    assert_eq!(counts(store).await, [3]);
}

pub(super) async fn what_cannot_be_regrouped_is_refused(store: &dyn Store) {
    let (_, [cart, price, mail]) = three(store).await;
    let office = Sender::new(store, "office").await;
    office.send(store, batch([panic("desk")])).await;
    let desk = all_issues(store).await.last().expect("is there").id;
    let merge = |into, issue| Regroup::Merge {
        into,
        issues: vec![issue],
    };

    refused(store, merge(cart, cart), "into itself").await;
    refused(store, merge(cart, desk), "of one project").await;
    refused(
        store,
        Regroup::Unmerge { part: cart },
        "merged into no other",
    )
    .await;
    regroup(store, merge(cart, price))
        .await
        .expect("are merged");
    refused(store, merge(mail, price), "a part of issue").await;
    let part_of = format!("issue {price} is a part of issue {cart} already");
    refused(store, merge(price, cart), &part_of).await;
    // An open one would not be seen any more.
    let scope = operator();
    let resolved = store.set_status(&scope, cart, Status::Resolved, later(10));
    resolved.await.expect("is resolved");
    refused(store, merge(cart, mail), "is resolved, and issue").await;
    refused(store, Regroup::Unmerge { part: cart }, "its parts are").await;
    for missing in [
        merge(cart, 99),
        merge(99, cart),
        Regroup::Unmerge { part: 99 },
        Regroup::Split {
            issue: mail,
            fingerprint: "v1-00000000000000000000000000000000".to_owned(),
        },
    ] {
        let error = regroup(store, missing).await.expect_err("is not there");
        assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
    }
}

pub(super) async fn the_rules_of_a_project_are_those_that_were_set_last(store: &dyn Store) {
    create(store, "shop", None).await.expect("can be made");
    let rules = || async { store.grouping_rules(&operator(), "shop").await };
    assert_eq!(rules().await.expect("can be read"), None);

    for (text, version) in [("class:a -> b\n", 1), ("", 2)] {
        let scope = operator();
        let set = store.set_grouping_rules(&scope, "shop", text, later(version));
        let set = set.await.expect("can be set");
        assert_eq!((&*set.rules, set.version), (text, version));
        assert_eq!(rules().await.expect("can be read"), Some(set));
    }
    let past = store.past_grouping_rules(&operator(), "shop").await;
    let past: Vec<u64> = past.expect("is read").iter().map(|it| it.version).collect();
    assert_eq!(past, [2, 1]);
    let other = store.grouping_rules(&operator(), "office").await;
    assert!(matches!(other, Err(StoreError::NotFound { .. })));
}
