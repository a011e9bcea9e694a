//! Requests of every kind are spans, whatever clients, services and handlers do.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request as AxumRequest};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use axum::middleware::Next;
use axum::routing::{any, get};
use bugsage_sdk::event::Event;
use bugsage_sdk::http::{HttpLayer, extract, inject, trace_headers};
use bugsage_sdk::span::{Span, SpanStatus};
use bugsage_sdk::test::{Attached, Recorder};
use bugsage_sdk::trace::TraceContext;
use tower::{Layer as _, Service, ServiceExt};
use tracing::{error, info, info_span};
use tracing_subscriber::layer::SubscriberExt;

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Runs something in a runtime and tells the spans and events of all of its threads.
fn recorded<F: Future>(
    mut runtime: tokio::runtime::Builder,
    work: impl FnOnce() -> F,
) -> (F::Output, Vec<Span>, Vec<Event>) {
    thread_local! {
        static HELD: std::cell::RefCell<Option<(Attached, tracing::subscriber::DefaultGuard)>> =
            const { std::cell::RefCell::new(None) };
    }
    let dispatch: tracing::Dispatch = tracing_subscriber::registry()
        .with(bugsage_sdk::layer())
        .into();
    let recorder = Recorder::new();
    let attach = {
        let (dispatch, recorder) = (dispatch.clone(), recorder.clone());
        move || {
            (
                recorder.attach(),
                tracing::dispatcher::set_default(&dispatch),
            )
        }
    };
    let held = attach();
    let runtime = runtime
        .on_thread_start(move || HELD.set(Some(attach())))
        .build()
        .expect("starts");
    let output = runtime.block_on(work());
    drop(runtime);
    drop(held);
    (output, recorder.spans(), recorder.events())
}

fn one_thread() -> tokio::runtime::Builder {
    tokio::runtime::Builder::new_current_thread()
}

/// Sends requests one after the other, each in a task of its own.
fn serve(
    app: &Router,
    requests: impl IntoIterator<Item = Request<Body>>,
) -> (Vec<Option<StatusCode>>, Vec<Span>, Vec<Event>) {
    recorded(one_thread(), || async {
        let mut statuses = Vec::new();
        for request in requests {
            let answered = tokio::spawn(app.clone().oneshot(request)).await;
            statuses.push(answered.ok().map(|response| response.unwrap().status()));
        }
        statuses
    })
}

fn request(method: &str, uri: &str) -> Request<Body> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = Request::builder().method(method).uri(uri);
    request.body(Body::empty()).unwrap()
}

fn get_request(uri: &str) -> Request<Body> {
    request("GET", uri)
}

fn field<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    let field = span.fields.iter().find(|(known, _)| &**known == name);
    field.map(|(_, value)| &**value)
}

fn names(spans: &[Span]) -> BTreeSet<&str> {
    spans.iter().map(|span| &*span.name).collect()
}

#[test]
fn a_request_whose_client_is_gone_ends_where_it_was() {
    let app = Router::new()
        .route(
            "/slow",
            get(|| async {
                let _inner = info_span!("inner");
                info!("waiting");
                pending::<()>().await;
            }),
        )
        .layer(HttpLayer::new());
    let (_, spans, events) = recorded(one_thread(), || async {
        {
            let mut answer = pin!(app.oneshot(get_request("/slow")));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(matches!(answer.as_mut().poll(&mut cx), Poll::Pending));
            // Dropped half-way.
        }
        error!("of nobody's request");
    });

    assert_eq!(spans.len(), 2);
    let request = spans
        .iter()
        .find(|span| &*span.name == "GET /slow")
        .expect("is told");
    assert_eq!(
        (request.status, field(request, "http.response.status_code")),
        (SpanStatus::Unset, None)
    );
    assert_eq!(events[0].spans.len(), 0);
}

#[test]
fn a_service_that_fails_fails_its_span_and_its_error_goes_on() {
    let service = tower::service_fn(|_: Request<Body>| async {
        Err::<Response<Body>, _>(std::io::Error::other("the database is gone"))
    });
    let (error, spans, _) = recorded(one_thread(), || {
        HttpLayer::new().layer(service).oneshot(get_request("/"))
    });
    assert_eq!(error.unwrap_err().to_string(), "the database is gone");
    assert_eq!(spans[0].status, SpanStatus::Error);
    assert_eq!(field(&spans[0], "http.response.status_code"), None);
}

/// Works before its future is polled, and panics there where it is told to.
#[derive(Clone)]
struct Eager {
    panics: bool,
}

impl Service<Request<Body>> for Eager {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        drop(info_span!("eager"));
        assert!(!self.panics, "before any future");
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

#[test]
fn a_service_that_works_before_its_future_works_in_the_requests_span() {
    let (_, spans, events) = recorded(one_thread(), || async {
        for panics in [false, true] {
            let service = HttpLayer::new().layer(Eager { panics });
            let answered = tokio::spawn(async { service.oneshot(get_request("/")).await }).await;
            assert_eq!(answered.is_err(), panics);
        }
    });
    let requests: Vec<_> = spans.iter().filter(|span| &*span.name == "GET").collect();
    let eager: Vec<_> = spans.iter().filter(|span| &*span.name == "eager").collect();
    assert_eq!((requests.len(), eager.len()), (2, 2));
    for (request, eager) in requests.iter().zip(eager) {
        assert_eq!(eager.parent, Some(request.id));
    }
    assert_eq!(
        (requests[0].status, requests[1].status),
        (SpanStatus::Unset, SpanStatus::Error)
    );
    assert_eq!(
        events[0].trace.map(|trace| trace.span),
        Some(requests[1].id)
    );
}

#[test]
fn a_body_that_comes_later_is_not_of_the_requests_span() {
    let app = Router::new()
        .route(
            "/stream",
            get(|| async {
                let parts = (0..3).map(|part| {
                    error!("part {part}");
                    Ok::<_, Infallible>(Bytes::from_static(b"part"))
                });
                Body::from_stream(Parts(parts))
            }),
        )
        .layer(HttpLayer::new());
    let (body, spans, events) = recorded(one_thread(), || async {
        let response = app.oneshot(get_request("/stream")).await.unwrap();
        axum::body::to_bytes(response.into_body(), 1 << 10)
            .await
            .unwrap()
    });
    assert_eq!(
        (&body[..], spans.len(), events.len()),
        (&b"partpartpart"[..], 1, 3)
    );
    assert_eq!(spans[0].status, SpanStatus::Unset);
    assert!(events.iter().all(|event| event.trace.is_none()));
}

/// Hands out the items of an iterator, one each time that it is asked.
struct Parts<I>(I);

impl<I: Iterator + Unpin> futures_core::Stream for Parts<I> {
    type Item = I::Item;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }
}

#[test]
fn routers_within_routers_tell_one_span_with_the_whole_route() {
    let leaf = Router::new().route("/{item}", get(|| async { "leaf" }));
    let middle = Router::new()
        .nest("/items", leaf)
        .route("/", get(|| async { "middle" }));
    let app = Router::new()
        .nest("/shops/{shop}", middle)
        .layer(HttpLayer::new());

    let paths = [
        "/shops/7/items/9",
        "/shops/7",
        "/nowhere",
        "/shops/7/items/9/deeper",
    ];
    let (statuses, spans, _) = serve(&app, paths.map(get_request));

    let found = StatusCode::OK;
    let expected = [found, found, StatusCode::NOT_FOUND, StatusCode::NOT_FOUND].map(Some);
    assert_eq!(statuses, expected);
    let of = |path: &str| {
        let mut found = spans
            .iter()
            .filter(|span| field(span, "url.path") == Some(path));
        let span = found.next().expect(path);
        assert!(found.next().is_none(), "{path} is one span");
        (&*span.name, field(span, "http.route"))
    };
    let whole = "/shops/{shop}/items/{item}";
    assert_eq!(
        of("/shops/7/items/9"),
        (&*format!("GET {whole}"), Some(whole))
    );
    assert_eq!(of("/shops/7").1, Some("/shops/{shop}"));
    assert_eq!(of("/nowhere"), ("GET", None));
    assert_eq!(of("/shops/7/items/9/deeper"), ("GET", None));
}

#[test]
fn two_layers_are_two_spans_one_in_the_other() {
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(HttpLayer::new())
        .layer(HttpLayer::new());
    let mut request = get_request("/");
    request
        .headers_mut()
        .insert("traceparent", CALLER.parse().unwrap());
    let (_, spans, _) = serve(&app, [request]);
    assert_eq!(spans.len(), 2);
    let outer = spans
        .iter()
        .find(|span| span.is_entry)
        .expect("one comes from outside");
    let inner = spans
        .iter()
        .find(|span| !span.is_entry)
        .expect("one lies within");
    assert_eq!((inner.parent, inner.trace), (Some(outer.id), outer.trace));
    assert_eq!(outer.trace.to_string(), &CALLER[3..35]);
}

#[test]
fn headers_that_are_missing_or_no_text_are_left_out() {
    let app = Router::new()
        .route("/", any(|| async {}))
        .layer(HttpLayer::new());
    let mut strange = get_request("/");
    let headers = strange.headers_mut();
    headers.insert("host", HeaderValue::from_bytes(b"shop\xff").unwrap());
    headers.insert("user-agent", HeaderValue::from_bytes(b"\xc3\x28").unwrap());
    let mut long = get_request("/");
    long.headers_mut()
        .insert("user-agent", "x".repeat(60_000).parse().unwrap());
    let (statuses, spans, _) = serve(&app, [get_request("/"), strange, long]);

    assert!(
        statuses
            .iter()
            .all(|status| *status == Some(StatusCode::OK))
    );
    assert_eq!(spans.len(), 3);
    for span in &spans[..2] {
        assert_eq!(
            (
                field(span, "server.address"),
                field(span, "user_agent.original")
            ),
            (None, None)
        );
    }
    let agent = field(&spans[2], "user_agent.original").expect("is told");
    assert!(agent.len() <= 1_024 && agent.ends_with('…'));
}

#[test]
fn a_context_that_is_not_as_the_standard_says_begins_a_trace_of_its_own() {
    let app = Router::new()
        .route("/", get(|| async {}))
        .layer(HttpLayer::new());
    let hostile: [&[u8]; 16] = [
        b"",
        b"00",
        b"-",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
        b"00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
        b"00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        b"00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
        b"0-04bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01".as_bytes(),
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-\xff\xff",
    ];
    let mut requests: Vec<_> = hostile
        .iter()
        .map(|value| {
            let mut request = get_request("/");
            let value = HeaderValue::from_bytes(value).unwrap();
            request.headers_mut().insert("traceparent", value);
            request
        })
        .collect();
    let mut twice = get_request("/");
    twice
        .headers_mut()
        .append("traceparent", CALLER.parse().unwrap());
    twice
        .headers_mut()
        .append("traceparent", CALLER.parse().unwrap());
    let mut endless = get_request("/");
    let long = format!("{CALLER}{}", "0".repeat(1 << 16));
    endless
        .headers_mut()
        .insert("traceparent", long.parse().unwrap());
    requests.extend([twice, endless]);
    let sent = requests.len();
    let (_, spans, _) = serve(&app, requests);

    assert_eq!(spans.len(), sent);
    assert!(
        spans
            .iter()
            .all(|span| span.parent.is_none() && span.is_entry)
    );
    let traces: BTreeSet<_> = spans.iter().map(|span| span.trace).collect();
    assert_eq!(traces.len(), sent, "each has its own");
}

#[test]
fn a_context_of_a_later_version_is_gone_on_with() {
    for header in [
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("TraceParent", header.parse().unwrap());
        let context = extract(&headers).expect(header);
        assert_eq!(
            (context.trace.to_string(), context.is_sampled),
            (CALLER[3..35].into(), true)
        );
    }
}

#[test]
fn a_request_of_a_trace_that_is_not_sampled_is_not_told_but_its_errors_are() {
    let app = Router::new()
        .route("/", get(|| async { error!("failed") }))
        .layer(HttpLayer::new());
    let mut request = get_request("/");
    let unsampled = CALLER.replace("-01", "-00");
    request
        .headers_mut()
        .insert("traceparent", unsampled.parse().unwrap());
    let (_, spans, events) = serve(&app, [request]);
    assert_eq!(spans.len(), 0);
    let trace = events[0].trace.expect("is in a request");
    assert_eq!(
        (trace.id.to_string(), trace.is_sampled),
        (CALLER[3..35].into(), false)
    );
    assert_eq!(&*events[0].spans[0].name, "GET /");
}

#[test]
fn methods_of_every_kind_are_told_and_those_that_nobody_knows_name_nothing() {
    let app = Router::new()
        .route("/any", any(|| async {}))
        .layer(HttpLayer::new());
    let known = [
        "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "POST", "GET",
    ];
    let (_, spans, _) = serve(&app, known.map(|method| request(method, "/any")));
    for method in known {
        assert!(
            names(&spans).contains(&*format!("{method} /any")),
            "{method}"
        );
    }
    // A client may make up as many as it likes.
    let made_up: Vec<_> = (0..300)
        .map(|number| request(&format!("M{number}"), "/any"))
        .collect();
    let (statuses, spans, _) = serve(&app, made_up);
    assert!(
        statuses
            .iter()
            .all(|status| *status == Some(StatusCode::OK))
    );
    assert_eq!(
        (spans.len(), names(&spans).len()),
        (300, 1),
        "{:?}",
        names(&spans)
    );
    assert_eq!(field(&spans[7], "http.request.method"), Some("_OTHER"));
    assert_eq!(field(&spans[7], "http.request.method_original"), Some("M7"));
}

#[test]
fn thousands_of_paths_have_as_many_names_as_there_are_routes() {
    let app = Router::new()
        .route("/orders/{id}", get(|Path(_): Path<String>| async {}))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(HttpLayer::new());
    let paths = (0..2_000).map(|number| match number % 2 {
        0 => get_request(&format!("/orders/{number}")),
        _ => get_request(&format!("/wp-admin/{number}.php?token=hunter2")),
    });
    let (_, spans, _) = serve(&app, paths);
    assert_eq!(spans.len(), 2_000);
    assert_eq!(
        names(&spans).into_iter().collect::<Vec<_>>(),
        ["GET", "GET /orders/{id}"]
    );
    assert!(!format!("{spans:?}").contains("hunter2"));
}

#[test]
fn secrets_in_paths_are_removed() {
    const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    let app = Router::new().fallback(|| async {}).layer(HttpLayer::new());
    let paths = [
        format!("/reset/{TOKEN}"),
        format!("/download;authorization=Bearer%20{TOKEN}"),
        format!("/invite/token={TOKEN}/accept"),
        format!("/cookie/session={TOKEN}"),
    ];
    let (_, spans, _) = serve(&app, paths.iter().map(|path| get_request(path)));
    let mut grpc = get_request(&paths[0]);
    grpc.headers_mut()
        .insert("content-type", "application/grpc".parse().unwrap());
    let (_, by_path, _) = serve(&app, [grpc]);
    for span in spans.iter().chain(&by_path) {
        assert!(!format!("{span:?}").contains(&TOKEN[8..]), "{span:?}");
    }
    assert_eq!((spans.len(), by_path.len()), (4, 1));
}

#[test]
fn a_route_that_panics_leaves_the_request_nameless_and_answered() {
    let service = tower::service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::empty()))
    });
    let layer = HttpLayer::new().route(|parts| {
        assert_ne!(parts.uri.path(), "/broken", "in the route");
        Some("/known".to_owned())
    });
    let (answers, spans, _) = recorded(one_thread(), || async {
        let mut answers = Vec::new();
        for path in ["/broken", "/fine"] {
            let service = layer.clone().layer(service);
            let answer = tokio::spawn(async move { service.oneshot(get_request(path)).await });
            answers.push(answer.await.is_ok());
        }
        answers
    });
    assert_eq!(answers, [true, true]);
    assert_eq!(
        names(&spans).into_iter().collect::<Vec<_>>(),
        ["GET", "GET /known"]
    );
}

#[test]
fn what_grpc_calls_is_its_route_and_its_type_may_say_more() {
    let app = tower::service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::empty()))
    });
    let (_, spans, _) = recorded(one_thread(), || async {
        for kind in [
            "application/grpc",
            "application/grpc+proto",
            "application/json",
            "grpc",
        ] {
            let request = Request::post("/shop.Orders/Place").header("content-type", kind);
            let request = request.body(Body::empty()).unwrap();
            HttpLayer::new().layer(app).oneshot(request).await.unwrap();
        }
    });
    let named: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    let grpc = "POST /shop.Orders/Place";
    assert_eq!(named, [grpc, grpc, "POST", "POST"]);
}

#[test]
fn what_is_injected_is_extracted_again_and_takes_the_place_of_what_was_there() {
    let mut headers = HeaderMap::new();
    let (_, spans, _) = recorded(one_thread(), || async {
        inject(&mut headers);
        assert!(headers.is_empty(), "no span is open");
        headers.append("traceparent", CALLER.parse().unwrap());
        headers.append("traceparent", CALLER.parse().unwrap());
        headers.append("tracestate", "vendor=1".parse().unwrap());
        inject(&mut headers);
        assert_eq!(
            headers.get_all("traceparent").iter().count(),
            2,
            "still none is open"
        );
        info_span!("caller").in_scope(|| inject(&mut headers));
        let context = extract(&headers).expect("is one again");
        let callee = bugsage_sdk::continue_trace(Some(context), || info_span!("callee"));
        callee.in_scope(|| {
            let told = trace_headers();
            let onward: TraceContext = told["traceparent"].to_str().unwrap().parse().unwrap();
            assert_eq!((onward.trace, onward.is_sampled), (context.trace, true));
            assert_ne!(onward.span, context.span);
        });
    });
    assert_eq!(headers["tracestate"], "vendor=1");
    let [caller, callee] = &spans[..] else {
        panic!("two spans are expected, there are {}", spans.len());
    };
    assert_eq!(
        (callee.trace, callee.parent),
        (caller.trace, Some(caller.id))
    );
    assert!(callee.is_entry);
}

#[test]
fn a_service_that_calls_itself_over_the_wire_makes_one_trace() {
    fn app() -> Router {
        Router::new()
            .route("/{depth}", get(descend))
            .layer(HttpLayer::new())
    }
    async fn descend(Path(depth): Path<u32>) {
        if depth > 0 {
            let mut request = get_request(&format!("/{}", depth - 1));
            inject(request.headers_mut());
            // As another process has it: no span is open around it.
            let app = app();
            tokio::spawn(app.oneshot(request)).await.unwrap().unwrap();
        }
    }
    let (_, spans, _) = serve(&app(), [get_request("/5")]);
    assert_eq!(spans.len(), 6);
    let traces: BTreeSet<_> = spans.iter().map(|span| span.trace).collect();
    let parents: BTreeSet<_> = spans.iter().filter_map(|span| span.parent).collect();
    assert_eq!((traces.len(), parents.len()), (1, 5));
    assert!(spans.iter().all(|span| span.is_entry));
}

#[test]
fn requests_on_many_threads_share_neither_tags_nor_users_nor_breadcrumbs() {
    async fn tag(request: AxumRequest, next: Next) -> axum::response::Response {
        let id = request.uri().path()[1..].to_owned();
        bugsage_sdk::set_tag("tenant", &id);
        bugsage_sdk::set_user(&id);
        next.run(request).await
    }
    async fn handler(Path(id): Path<String>) {
        for step in 0..3 {
            info!("{id} step {step}");
            tokio::task::yield_now().await;
        }
        bugsage_sdk::set_context("order", &id);
        bugsage_sdk::set_input("request", &id);
        tokio::task::yield_now().await;
        error!("failed {id}");
    }
    let app = Router::new()
        .route("/{id}", get(handler))
        .layer(axum::middleware::from_fn(tag))
        .layer(HttpLayer::new());
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(4);
    let app = Arc::new(app);
    let (_, spans, events) = recorded(runtime, || async {
        let mut tasks = tokio::task::JoinSet::new();
        for id in 0..1_000 {
            let app = (*app).clone();
            tasks.spawn(app.oneshot(get_request(&format!("/{id}"))));
        }
        while let Some(answered) = tasks.join_next().await {
            assert_eq!(answered.unwrap().unwrap().status(), StatusCode::OK);
        }
    });
    assert_eq!((spans.len(), events.len()), (1_000, 1_000));
    for event in &events {
        let id = event.message.strip_prefix("failed ").expect("is one");
        assert_eq!(event.tags, [("tenant".into(), id.into())]);
        assert_eq!(event.user.as_deref(), Some(id));
        assert_eq!(event.attached, [("order".into(), id.into())]);
        assert_eq!(event.inputs, [("request".into(), id.into())]);
        let crumbs = event
            .breadcrumbs
            .iter()
            .map(|crumb| crumb.message.to_string());
        assert!(
            crumbs.eq((0..3).map(|step| format!("{id} step {step}"))),
            "{event:?}"
        );
        let trace = event.trace.expect("is in a request");
        let span = spans
            .iter()
            .find(|span| span.id == trace.span)
            .expect("was closed");
        assert_eq!(field(span, "url.path"), Some(&*format!("/{id}")));
    }
}
