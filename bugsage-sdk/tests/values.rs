//! Strange values: whatever a span or a line is given, it is told as it is, cut or hidden, and costs its
//! neighbors nothing.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;

use bugsage_sdk::event::Event;
use bugsage_sdk::span::{Span, SpanKind, SpanStatus};
use bugsage_sdk::test::Recorder;
use tracing::field::{Empty, debug, display};
use tracing::{Level, error, info, info_span};
use tracing_subscriber::layer::SubscriberExt;

fn recorded(run: impl FnOnce()) -> (Vec<Span>, Vec<Event>) {
    let recorder = Recorder::new();
    let attached = recorder.attach();
    let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
    tracing::subscriber::with_default(subscriber, run);
    drop(attached);
    (recorder.spans(), recorder.events())
}

/// The fields of the one span that something opens.
fn fields_of(run: impl FnOnce()) -> Vec<String> {
    let (spans, _) = recorded(run);
    assert_eq!(spans.len(), 1);
    fields(&spans[0])
}

fn fields(span: &Span) -> Vec<String> {
    let fields = span.fields.iter();
    fields
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn everything(spans: &[Span], events: &[Event]) -> String {
    format!("{spans:?} {events:?}")
}

#[test]
fn numbers_at_their_ends_are_told_digit_by_digit() {
    let fields = fields_of(|| {
        drop(info_span!(
            "numbers",
            unsigned = u64::MAX,
            signed = i64::MIN,
            wide = i128::MIN,
            wider = u128::MAX,
            small = u8::MAX,
            nothing = f64::NAN,
            minus = -0.0,
            most = f64::INFINITY,
            least = f64::MIN_POSITIVE,
            large = f64::MAX,
            unit = ?(),
        ));
    });

    let large = format!("large={}", f64::MAX);
    let least = format!("least={}", f64::MIN_POSITIVE);
    let expected = [
        "unsigned=18446744073709551615",
        "signed=-9223372036854775808",
        "wide=-170141183460469231731687303715884105728",
        "wider=340282366920938463463374607431768211455",
        "small=255",
        "nothing=NaN",
        "minus=-0",
        "most=inf",
        &least,
        &large,
        "unit=()",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn empty_names_and_values_are_told_as_empty() {
    let (spans, events) = recorded(|| {
        info_span!(target: "", "", value = "", "" = 3, otel.name = "").in_scope(|| {
            bugsage_sdk::set_tag("", "");
            bugsage_sdk::set_tag("empty", "");
            bugsage_sdk::set_user("");
            bugsage_sdk::set_context("", "");
            bugsage_sdk::set_input("", "");
            info!("");
            error!("");
        });
        bugsage_sdk::capture_message(Level::ERROR, "");
    });

    assert_eq!(
        (spans.len(), &*spans[0].name, &*spans[0].target),
        (1, "", "")
    );
    assert_eq!(fields(&spans[0])[..2], ["value=", "=3"]);
    assert_eq!(events.len(), 2);
    assert_eq!((&*events[0].message, &*events[1].message), ("", ""));
    assert!(events[0].tags.contains(&("empty".into(), "".into())));
}

#[test]
fn control_characters_and_colours_arrive_as_they_were_and_split_nothing() {
    const STRANGE: &str = "\u{1b}[31mred\u{1b}[0m\r\nnext\0line\u{202e}\t=\u{7f} \"quoted\" 🦀";
    let (spans, events) = recorded(|| {
        info_span!("strange", text = STRANGE, debug = ?"a\nb", shown = %STRANGE).in_scope(|| {
            bugsage_sdk::set_tag(STRANGE, STRANGE);
            bugsage_sdk::set_user(STRANGE);
            bugsage_sdk::set_context(STRANGE, STRANGE);
            info!("{STRANGE}");
            error!("{STRANGE}");
        });
    });

    let expected = [
        format!("text={STRANGE}"),
        "debug=\"a\\nb\"".to_owned(),
        format!("shown={STRANGE}"),
    ];
    assert_eq!(fields(&spans[0]), expected);
    let event = &events[0];
    assert_eq!(
        (&*event.message, &*event.breadcrumbs[0].message),
        (STRANGE, STRANGE)
    );
    let pair = (STRANGE.into(), STRANGE.into());
    assert_eq!((&event.tags[0], &event.attached[0]), (&pair, &pair));
    assert_eq!(event.user.as_deref(), Some(STRANGE));
}

#[test]
fn text_that_is_no_unicode_is_told_by_its_debug_text() {
    let name = OsString::from_vec(b"broken-\xff\xc3.txt".to_vec());
    let fields = fields_of(|| drop(info_span!("file", ?name, bytes = ?b"\xff\x00")));
    assert_eq!(fields, [r#"name="broken-\xFF\xC3.txt""#, r"bytes=[255, 0]"]);
}

#[test]
fn text_is_cut_between_characters() {
    struct Slowly(&'static str);
    impl fmt::Display for Slowly {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (0..1_000).try_for_each(|_| f.write_str(self.0))
        }
    }
    for text in ["é", "€", "🦀", "x€", "xx🦀", "e\u{301}"] {
        let long: &str = &text.repeat(1_000);
        let (spans, events) = recorded(|| {
            info_span!("long", long, shown = %Slowly(text)).in_scope(|| {
                bugsage_sdk::set_tag("tag", long.repeat(20));
                bugsage_sdk::set_user(long);
                bugsage_sdk::set_input("input", Slowly(text));
                info!("{long}");
                error!("{}", long.repeat(20));
            });
        });
        for (name, value) in &spans[0].fields {
            assert!(
                value.len() <= 1_024 && value.ends_with('…'),
                "{name} is {}",
                value.len()
            );
            let rest = long.strip_prefix(value.trim_end_matches('…'));
            assert!(rest.is_some(), "{name} begins as it did");
        }
        let event = &events[0];
        let is_cut = |value: &str, bytes_max: usize| {
            let kept = value.trim_end_matches('…');
            kept.len() <= bytes_max && kept.len() + 8 > bytes_max.min(3_000) - '…'.len_utf8()
        };
        assert!(is_cut(&event.tags[0].1, 8 << 10));
        assert!(is_cut(event.user.as_deref().unwrap_or(""), 200));
        assert!(event.message.len() <= 8 << 10);
        assert!(event.breadcrumbs[0].message.len() <= 1 << 10);
    }
}

#[test]
fn as_many_fields_as_tracing_allows_are_told() {
    let fields = fields_of(|| {
        drop(info_span!(
            "wide",
            a = 0,
            b = 1,
            c = 2,
            d = 3,
            e = 4,
            f = 5,
            g = 6,
            h = 7,
            i = 8,
            j = 9,
            k = 10,
            l = 11,
            m = 12,
            n = 13,
            o = 14,
            p = 15,
            q = 16,
            r = 17,
            s = 18,
            t = 19,
            u = 20,
            v = 21,
            w = 22,
            x = 23,
            y = 24,
            z = 25,
            aa = 26,
            bb = 27,
            cc = 28,
            dd = 29,
            ee = 30,
            ff = 31,
        ));
    });
    assert_eq!(fields.len(), 32);
    assert_eq!((&*fields[0], &*fields[31]), ("a=0", "ff=31"));
}

#[test]
fn fields_that_are_too_much_together_leave_room_for_the_next_spans() {
    let long = "x".repeat(2_000);
    let (spans, _) = recorded(|| {
        let long = &*long;
        drop(info_span!(
            "much",
            a = long,
            b = long,
            c = long,
            d = long,
            e = long,
            f = 6,
            g = long
        ));
        drop(info_span!("next", small = 1));
    });

    assert_eq!(spans.len(), 2);
    let bytes: usize = spans[0].fields.iter().map(|(_, value)| value.len()).sum();
    assert!((1..=4 << 10).contains(&bytes), "{bytes} bytes are told");
    assert_eq!(fields(&spans[1]), ["small=1"]);
}

#[test]
fn a_span_that_fills_a_page_by_itself_is_told_without_some_of_its_fields() {
    let (spans, _) = recorded(|| {
        let text = &*"v".repeat(36);
        let span = info_span!(
            "wide",
            first = 1,
            the_name_of_the_order_field_00 = text,
            the_name_of_the_order_field_01 = text,
            the_name_of_the_order_field_02 = text,
            the_name_of_the_order_field_03 = text,
            the_name_of_the_order_field_04 = text,
            the_name_of_the_order_field_05 = text,
            the_name_of_the_order_field_06 = text,
            the_name_of_the_order_field_07 = text,
            the_name_of_the_order_field_08 = text,
            the_name_of_the_order_field_09 = text,
            the_name_of_the_order_field_10 = text,
            the_name_of_the_order_field_11 = text,
            the_name_of_the_order_field_12 = text,
            the_name_of_the_order_field_13 = text,
            the_name_of_the_order_field_14 = text,
            the_name_of_the_order_field_15 = text,
            the_name_of_the_order_field_16 = text,
            the_name_of_the_order_field_17 = text,
            the_name_of_the_order_field_18 = text,
            the_name_of_the_order_field_19 = text,
            the_name_of_the_order_field_20 = text,
            the_name_of_the_order_field_21 = text,
            the_name_of_the_order_field_22 = text,
            the_name_of_the_order_field_23 = text,
            the_name_of_the_order_field_24 = text,
            the_name_of_the_order_field_25 = text,
            the_name_of_the_order_field_26 = text,
            the_name_of_the_order_field_27 = text,
            the_name_of_the_order_field_28 = text,
            the_name_of_the_order_field_29 = text,
            the_name_of_the_order_field_30 = text,
        );
        for number in 0..20_u64 {
            span.follows_from(info_span!("cause", number).id());
        }
        drop(span);
        drop(info_span!("next", small = 1));
    });

    let named = |name| spans.iter().find(|span| &*span.name == name).expect(name);
    let wide = named("wide");
    assert_eq!((&*wide.fields[0].1, wide.links.len()), ("1", 16));
    assert!(
        (2..32).contains(&wide.fields.len()),
        "{} are told",
        wide.fields.len()
    );
    assert_eq!(fields(named("next")), ["small=1"]);
    assert_eq!(spans.len(), 22);
}

#[test]
fn a_field_is_told_once_however_often_and_from_wherever_it_is_recorded() {
    let span_of = |values: u32| {
        let span = info_span!("often", value = Empty, kept = "kept", other = Empty);
        for value in 0..values {
            span.record("value", value);
            span.record("other", display(format!("{}{value}", "o".repeat(400))));
            // Longer and shorter ones by turns.
            span.record("value", debug("v".repeat(value as usize % 300)));
            span.record("nobody", 1);
        }
        span.record("value", "last");
        drop(span);
    };
    let fields = fields_of(|| span_of(1_000));
    assert_eq!(fields.len(), 3);
    assert_eq!(fields[0], "kept=kept");
    assert!(fields.contains(&"value=last".to_owned()));
    let other = format!("other={}999", "o".repeat(400));
    assert!(fields.contains(&other), "{fields:?}");
}

#[test]
fn a_field_without_a_value_is_not_told() {
    let fields = fields_of(|| {
        let missing: Option<u32> = None;
        let there = Some("there");
        drop(info_span!(
            "request",
            never = Empty,
            missing,
            there,
            last = 1
        ));
    });
    assert_eq!(fields, ["there=there", "last=1"]);
}

#[test]
fn a_very_long_name_or_target_is_cut_and_its_span_told() {
    const LONG: &str = "a_name_of_sixteen_a_name_of_sixteen_a_name_of_sixteen_a_name_of_sixteen_\
        a_name_of_sixteen_a_name_of_sixteen_a_name_of_sixteen_a_name_of_sixteen_a_name_of_sixteen_\
        a_name_of_sixteen_a_name_of_sixteen_a_name_of_sixteen_a_name_of_sixteen_a_name_of_sixteen_";
    let (spans, events) = recorded(|| {
        info_span!(target: LONG, LONG, value = 1).in_scope(|| {
            info!(target: LONG, "before");
            error!(target: LONG, "failed");
        });
        drop(info_span!("request", otel.name = "n".repeat(5_000)));
    });

    assert!(LONG.starts_with(&*spans[0].name) && spans[0].name.len() >= 100);
    assert!(LONG.starts_with(&*spans[0].target) && spans[0].target.len() >= 100);
    assert_eq!(fields(&spans[0]), ["value=1"]);
    assert!(spans[1].name.starts_with("nnn") && spans[1].name.len() <= 1_024);
    let crumb = &events[0].breadcrumbs[0];
    assert!(LONG.starts_with(&*crumb.target) && crumb.target.len() <= 200);
    assert_eq!((&*crumb.message, &*events[0].message), ("before", "failed"));
    assert!(events[0].spans[0].name.len() <= LONG.len());
}

#[test]
fn what_a_span_is_may_be_said_wrongly_and_is_then_a_field_or_nothing() {
    let (spans, _) = recorded(|| {
        drop(info_span!(
            "kind",
            otel.kind = "spaceship",
            otel.status_code = "maybe"
        ));
        drop(info_span!(
            "number",
            otel.name = 7,
            otel.kind = 3,
            otel.status_code = true
        ));
        drop(info_span!(
            "upper",
            otel.kind = "PRODUCER",
            otel.status_code = "OK"
        ));
        let both = info_span!("both", otel.status_code = Empty);
        both.record("otel.status_code", "OK");
        both.in_scope(|| error!("failed"));
        both.record("otel.status_code", "ok");
    });
    let named = |name| spans.iter().find(|span| &*span.name == name).expect(name);
    assert_eq!(
        (named("kind").kind, named("kind").status),
        (SpanKind::Internal, SpanStatus::Unset)
    );
    assert_eq!(
        fields(named("kind")),
        ["otel.kind=spaceship", "otel.status_code=maybe"]
    );
    assert_eq!(named("number").fields.len(), 3);
    assert_eq!(
        (named("upper").kind, named("upper").status),
        (SpanKind::Producer, SpanStatus::Ok)
    );
    assert_eq!(
        named("both").status,
        SpanStatus::Error,
        "a failure stays one"
    );
}

#[test]
fn a_span_may_be_named_after_it_was_opened_and_the_last_name_counts() {
    let (spans, events) = recorded(|| {
        let span = info_span!("request", otel.name = Empty, otel.kind = Empty);
        span.record("otel.name", "GET /first");
        span.record("otel.kind", "client");
        span.record("otel.name", "GET /last");
        span.in_scope(|| error!("failed"));
        span.record("otel.name", "");
    });
    assert_eq!(
        (&*spans[0].name, spans[0].kind),
        ("request", SpanKind::Client)
    );
    assert_eq!(&*events[0].spans[0].name, "GET /last");
}

/// No part of it may be found anywhere.
const SECRET: &str = "hunter2abc";

#[test]
fn fields_named_like_secrets_are_hidden_wherever_they_stand() {
    let (spans, events) = recorded(|| {
        let span = info_span!(
            "login",
            password = SECRET,
            user.password = SECRET,
            "http.request.header.authorization" = SECRET,
            "http.request.header.cookie" = SECRET,
            "Set-Cookie" = SECRET,
            API_KEY = SECRET,
            db.PassWord = %SECRET,
            access_token = ?SECRET,
            client.secret = Empty,
        );
        span.record("client.secret", SECRET);
        span.in_scope(|| {
            bugsage_sdk::set_tag("api-key", SECRET);
            bugsage_sdk::set_context("session.password", SECRET);
            bugsage_sdk::set_input("password", SECRET);
            info!(user.password = SECRET, token = ?SECRET, "before");
            error!(db.password = SECRET, "x-api-key" = %SECRET, "failed");
        });
    });

    assert_eq!(
        (spans[0].fields.len(), events[0].spans[0].fields.len()),
        (9, 9)
    );
    let text = everything(&spans, &events);
    assert!(!text.contains(SECRET), "{text}");
}

#[test]
fn a_long_name_hides_its_secret_too() {
    let (spans, events) = recorded(|| {
        let span = info_span!(
            "connect",
            "service.configuration.database.primary.connection.pool.credentials.password" = SECRET,
        );
        span.in_scope(|| {
            let name = "service.configuration.database.primary.connection.pool.user.password";
            bugsage_sdk::set_tag(name, SECRET);
            error!(
                "service.configuration.database.primary.connection.pool.settings.password" = SECRET,
                "failed"
            );
        });
    });
    let text = everything(&spans, &events);
    assert!(!text.contains(SECRET), "{text}");
}

#[test]
fn secrets_within_texts_are_removed_wherever_they_stand() {
    const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    let (spans, events) = recorded(|| {
        let name = format!("GET /reset?password={SECRET}");
        let span = info_span!(
            "request",
            otel.name = name,
            url.path = format!("/login/{TOKEN};password={SECRET}"),
            header = format!("Authorization: Bearer {TOKEN}"),
            cookies = format!("Cookie: session_token={TOKEN}; theme=dark"),
            dsn = format!("postgres://app:{SECRET}@db.example/shop"),
        );
        span.in_scope(|| {
            bugsage_sdk::set_tag("url", format!("/login?token={TOKEN}"));
            bugsage_sdk::set_context("request", format!("password={SECRET}"));
            bugsage_sdk::input!("request", "Authorization: Bearer {TOKEN}");
            info!("calling with {TOKEN}");
            error!("refused: password={SECRET}");
        });
    });
    let text = everything(&spans, &events);
    assert!(!text.contains(SECRET), "{text}");
    assert!(!text.contains(TOKEN), "{text}");
    assert!(
        spans[0].name.starts_with("GET /reset?password="),
        "{}",
        spans[0].name
    );
    assert!(text.contains("db.example"), "what is no secret stays");
}

#[test]
fn an_address_of_a_user_is_a_pseudonym_and_the_same_for_the_same_one() {
    let (_, events) = recorded(|| {
        for user in [
            "ada@shop.example",
            "ada@shop.example",
            "bob@shop.example",
            "user-17",
        ] {
            bugsage_sdk::set_user(user);
            bugsage_sdk::capture_message(Level::ERROR, &format!("of one with {}", user.len()));
            bugsage_sdk::set_user("nobody");
        }
    });
    let users: Vec<_> = events
        .iter()
        .map(|event| event.user.as_deref().unwrap_or(""))
        .collect();
    assert!(
        users[0].starts_with("user-") && !users[0].contains('@'),
        "{users:?}"
    );
    assert_ne!(users[0], users[1]);
    assert_eq!(users.last(), Some(&"user-17"));
    assert_eq!((events[0].count, events.len()), (2, 3));
}

#[test]
fn a_debug_text_that_locks_what_its_caller_holds_is_the_apps_own_matter_alone() {
    use std::sync::Mutex;
    let account = Mutex::new(17);
    let held = account.lock().expect("no panic");
    // The text of a lock that is held says so and waits for nobody.
    let fields = fields_of(|| drop(info_span!("transfer", ?account)));
    assert!(fields[0].contains("<locked>"), "{fields:?}");
    drop(held);
}

#[test]
fn a_text_that_returns_an_error_is_cut_and_its_line_goes_out() {
    struct Refuses;
    impl fmt::Display for Refuses {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("so far")?;
            Err(fmt::Error)
        }
    }
    let (spans, events) = recorded(|| {
        info_span!("request", value = %Refuses, next = 1).in_scope(|| {
            bugsage_sdk::set_input("input", Refuses);
            info!(value = %Refuses, next = 1, "before");
            error!(value = %Refuses, next = 1, "failed");
        });
    });
    assert_eq!(fields(&spans[0]), ["value=so far…", "next=1"]);
    assert_eq!(&*events[0].message, "failed value=so far… next=1");
    assert_eq!(
        &*events[0].breadcrumbs[0].message,
        "before value=so far… next=1"
    );
    assert_eq!(&*events[0].inputs[0].1, "so far…");
}

#[test]
fn what_an_app_calls_one_bug_follows_the_span_part_by_part() {
    let (_, events) = recorded(|| {
        let span = info_span!("import");
        span.in_scope(|| {
            bugsage_sdk::set_fingerprint(["{{ default }}", "supplier\n17"]);
            bugsage_sdk::capture_message(Level::ERROR, "within");
            bugsage_sdk::set_fingerprint((0..17).map(|part| "é".repeat(101 + part)));
            bugsage_sdk::capture_message(Level::ERROR, "too much");
        });
        bugsage_sdk::capture_message(Level::ERROR, "outside");
    });

    let wanted = |at: usize| {
        let mut tags = events[at].tags.iter();
        let tag = tags.find(|(name, _)| &**name == bugsage_sdk::event::FINGERPRINT_TAG);
        tag.map(|(_, value)| value.to_string())
    };
    assert_eq!(wanted(0).as_deref(), Some("{{ default }}\nsupplier 17"));
    let cut = wanted(1).expect("is there");
    assert_eq!(cut.lines().count(), 16);
    assert!(
        cut.lines()
            .all(|part| part.len() <= 200 && part.ends_with('…'))
    );
    assert_eq!(wanted(2), None);
}
