//! Requests of a server are spans, and traces go from one service to the next.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, Request, Response, StatusCode, request};
use axum::routing::get;
use bugsage_sdk::event::{Event, EventKind};
use bugsage_sdk::http::{HttpLayer, extract, trace_headers};
use bugsage_sdk::span::{Span, SpanKind, SpanStatus};
use bugsage_sdk::test::Recorder;
use tower::ServiceExt;
use tracing_subscriber::layer::SubscriberExt;

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

async fn order(Path(id): Path<u32>) -> Result<String, StatusCode> {
    tracing::info!("looking for order {id}");
    match id {
        0 => panic!("no order has number 0"),
        1 => {
            tracing::error!("the database is gone");
            Err(StatusCode::INTERNAL_SERVER_ERROR)
        }
        2 => Err(StatusCode::NOT_FOUND),
        // What it tells the next service.
        _ => Ok(trace_headers()["traceparent"]
            .to_str()
            .unwrap_or("")
            .to_owned()),
    }
}

fn app() -> Router {
    let routes = Router::new().route("/orders/{id}", get(order));
    routes.layer(HttpLayer::new())
}

/// Sends requests to an app and tells the spans and events of the thread that served them.
fn serve(app: &Router, requests: Vec<Request<Body>>) -> (Vec<Served>, Vec<Span>, Vec<Event>) {
    let recorder = Recorder::new();
    let attached = recorder.attach();
    let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let served = tracing::subscriber::with_default(subscriber, || {
        let all = requests.into_iter().map(|request| {
            let response = runtime.block_on(async {
                // As a server does: a panic ends the task of its connection, and nothing else.
                tokio::task::LocalSet::new()
                    .run_until(async {
                        tokio::task::spawn_local(app.clone().oneshot(request)).await
                    })
                    .await
            });
            let response = response.ok().map(|response| response.unwrap())?;
            let (parts, body) = response.into_parts();
            let body = runtime
                .block_on(axum::body::to_bytes(body, 1 << 16))
                .unwrap();
            Some(Response::from_parts(
                parts,
                String::from_utf8(body.to_vec()).unwrap(),
            ))
        });
        all.collect::<Vec<_>>()
    });
    drop(attached);
    (served, recorder.spans(), recorder.events())
}

/// The response, or nothing where the handler panicked.
type Served = Option<Response<String>>;

fn get_order(id: u32, headers: &[(&str, &str)]) -> Request<Body> {
    let request = Request::get(format!("/orders/{id}?token=hunter2"));
    let request = request
        .header("host", "shop.example")
        .header("user-agent", "tests/1");
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    request.body(Body::empty()).unwrap()
}

fn field<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    let field = span.fields.iter().find(|(known, _)| &**known == name);
    field.map(|(_, value)| &**value)
}

#[test]
fn a_request_is_a_span_of_its_route_that_goes_on_with_the_callers_trace() {
    let (served, spans, _) = serve(&app(), vec![get_order(7, &[("traceparent", CALLER)])]);

    let [span] = &spans[..] else {
        panic!("one span is expected, there are {}", spans.len());
    };
    assert_eq!(&*span.name, "GET /orders/{id}");
    assert_eq!(
        (span.kind, span.status),
        (SpanKind::Server, SpanStatus::Unset)
    );
    assert_eq!(span.trace.to_string(), &CALLER[3..35]);
    assert_eq!(
        span.parent.map(|id| id.to_string()).as_deref(),
        Some(&CALLER[36..52])
    );
    assert_eq!(field(span, "http.request.method"), Some("GET"));
    assert_eq!(field(span, "url.path"), Some("/orders/7"));
    assert_eq!(field(span, "http.route"), Some("/orders/{id}"));
    assert_eq!(field(span, "http.response.status_code"), Some("200"));
    assert_eq!(field(span, "server.address"), Some("shop.example"));
    assert_eq!(field(span, "user_agent.original"), Some("tests/1"));
    assert!(
        !format!("{span:?}").contains("hunter2"),
        "the query is nobody's business"
    );
    let onward = served[0].as_ref().expect("was answered").body().clone();
    assert_eq!(onward, format!("00-{}-{}-01", span.trace, span.id));
}

#[test]
fn a_failed_request_is_a_failed_span_and_what_the_client_did_wrong_is_none() {
    let (_, spans, events) = serve(&app(), vec![get_order(1, &[]), get_order(2, &[])]);

    assert_eq!(spans[0].status, SpanStatus::Error);
    assert_eq!(field(&spans[0], "http.response.status_code"), Some("500"));
    assert_eq!(spans[1].status, SpanStatus::Unset);
    assert_eq!(field(&spans[1], "http.response.status_code"), Some("404"));
    assert_ne!(spans[0].trace, spans[1].trace);
    let [event] = &events[..] else {
        panic!("one event is expected");
    };
    assert_eq!(event.trace.map(|trace| trace.id), Some(spans[0].trace));
    assert_eq!(&*event.breadcrumbs[0].message, "looking for order 1");
}

#[test]
fn a_panic_in_a_handler_is_reported_with_its_request_and_goes_on() {
    let (served, spans, events) = serve(&app(), vec![get_order(0, &[])]);

    assert!(served[0].is_none(), "what is answered is up to the app");
    assert_eq!(events[0].kind, EventKind::Panic);
    assert_eq!(&*events[0].message, "no order has number 0");
    assert_eq!(&*events[0].spans[0].name, "GET /orders/{id}");
    let route = ("http.route".into(), "/orders/{id}".into());
    assert!(events[0].spans[0].fields.contains(&route));
    assert_eq!(spans[0].status, SpanStatus::Error);
}

#[test]
fn requests_at_the_same_time_keep_their_traces_apart() {
    let recorder = Recorder::new();
    let _attached = recorder.attach();
    let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let slow = get(|Path(id): Path<u32>| async move {
        tracing::info!("begin {id}");
        tokio::task::yield_now().await;
        tracing::error!("request {id} failed");
    });
    let app = Router::new()
        .route("/slow/{id}", slow)
        .layer(HttpLayer::new());
    tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for id in 0..200 {
                let request = Request::get(format!("/slow/{id}"))
                    .body(Body::empty())
                    .unwrap();
                tasks.spawn(app.clone().oneshot(request));
            }
            while tasks.join_next().await.is_some() {}
        });
    });

    let (spans, events) = (recorder.spans(), recorder.events());
    assert_eq!((spans.len(), events.len()), (200, 200));
    for event in events {
        let id = event
            .message
            .split(' ')
            .nth(1)
            .expect("is named")
            .to_owned();
        let crumbs: Vec<_> = event
            .breadcrumbs
            .iter()
            .map(|crumb| &*crumb.message)
            .collect();
        assert_eq!(crumbs, [format!("begin {id}")]);
        let trace = event.trace.expect("is in a request").id;
        let span = spans
            .iter()
            .find(|span| span.trace == trace)
            .expect("was closed");
        assert_eq!(field(span, "url.path"), Some(&*format!("/slow/{id}")));
    }
}

#[test]
fn a_service_that_is_no_router_names_its_routes_itself() {
    let echo = tower::service_fn(|_: Request<Body>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
    });
    let recorder = Recorder::new();
    let _attached = recorder.attach();
    let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let call = |layer: HttpLayer, request: Request<Body>| {
        let service = tower::Layer::layer(&layer, echo);
        runtime.block_on(service.oneshot(request)).unwrap();
    };
    tracing::subscriber::with_default(subscriber, || {
        let first_word = |parts: &request::Parts| {
            parts
                .uri
                .path()
                .split('/')
                .nth(1)
                .map(|word| format!("/{word}"))
        };
        let request = Request::get("/files/a/b").body(Body::empty()).unwrap();
        call(HttpLayer::new().route(first_word), request);
        let grpc = Request::post("/shop.Orders/Place").header("content-type", "application/grpc");
        call(HttpLayer::new(), grpc.body(Body::empty()).unwrap());
        call(
            HttpLayer::new(),
            Request::get("/plain").body(Body::empty()).unwrap(),
        );
    });

    let names: Vec<_> = recorder.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(
        names.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["GET /files", "POST /shop.Orders/Place", "GET"]
    );
}

#[test]
fn headers_that_are_no_context_or_too_many_are_passed_by() {
    let headers = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("traceparent", value.parse().unwrap());
        }
        extract(&headers)
    };
    assert!(headers(&[CALLER]).is_some());
    assert!(headers(&[CALLER, CALLER]).is_none());
    assert!(headers(&["00-1-2-3"]).is_none());
    assert!(headers(&[]).is_none());
    assert!(trace_headers().is_empty(), "no span is open here");
}

#[test]
fn a_route_may_have_a_rate_of_its_own() {
    let recorder = Recorder::new();
    let _attached = recorder.attach();
    let app = Router::new()
        .route("/healthz", get(|| async { "alive" }))
        .route("/orders/{id}", get(order))
        .layer(HttpLayer::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(bugsage_sdk::layer());
    tracing::subscriber::with_default(subscriber, || {
        bugsage_sdk::set_traces_sample_rate_of("GET /healthz", 0.0);
        for path in ["/healthz", "/orders/7"] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            runtime.block_on(app.clone().oneshot(request)).unwrap();
        }
    });

    let names: Vec<_> = recorder
        .spans()
        .into_iter()
        .map(|span| span.name.to_string())
        .collect();
    assert_eq!(names, ["GET /orders/{id}"]);
}

#[test]
fn a_router_within_another_tells_the_whole_path() {
    let orders = Router::new()
        .route("/{id}", get(order))
        .layer(HttpLayer::new());
    let app = Router::new().nest("/orders", orders);

    let (_, spans, _) = serve(&app, vec![get_order(7, &[])]);

    assert_eq!(&*spans[0].name, "GET /orders/{id}");
    assert_eq!(field(&spans[0], "url.path"), Some("/orders/7"));
}
