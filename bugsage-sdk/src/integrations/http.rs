//! Requests of an HTTP server as spans, and traces from one service to the next: for whatever speaks
//! `tower`, as axum, hyper and tonic do.
//!
//! ```
//! use bugsage_sdk::http::HttpLayer;
//! # fn router<S>(_: impl tower_layer::Layer<S>) {}
//!
//! // axum: Router::new().route("/orders/{id}", get(order)).layer(HttpLayer::new())
//! # router::<()>(HttpLayer::new());
//! ```

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request, Response, request};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Span;
use tracing::field::Empty;
use tracing::instrument::{Instrument, Instrumented};

use crate::capture::error::contained;
use crate::trace::{TRACEPARENT, TraceContext};

/// Which route a request matched.
type Route = Arc<dyn Fn(&request::Parts) -> Option<String> + Send + Sync>;

/// Wraps a server's service: each request is a span that goes on with the caller's trace.
///
/// The span is named by method and route, by the method alone where no route is known, with `HTTP` for a method that no standard knows, and has
/// `http.request.method`, `url.path`, `http.route` where it is known,
/// `http.response.status_code`, `server.address` and `user_agent.original`; never the query, a body or
/// other headers. A status from 500 on makes the span failed. A panic is reported with the request's span
/// and goes on as it would without this layer: what is answered then is up to the app.
///
/// The span ends when the response's head is there, not its body. Each request costs a span, and an
/// allocation for its name where the route is known.
#[derive(Clone, Default)]
pub struct HttpLayer {
    route: Option<Route>,
}

impl fmt::Debug for HttpLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpLayer").finish_non_exhaustive()
    }
}

impl HttpLayer {
    /// A layer that knows the routes of axum, with the feature `axum`, and of gRPC, whose paths are
    /// routes; for other servers see [`route`](Self::route).
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells which route a request matched, with its parameters unfilled: `/orders/{id}`. It names the
    /// span, so that all requests of a route have one name. A panic in it is reported, and the request goes
    /// on without a route.
    pub fn route(
        mut self,
        route: impl Fn(&request::Parts) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.route = Some(Arc::new(route));
        self
    }
}

impl<S> Layer<S> for HttpLayer {
    type Service = HttpService<S>;

    fn layer(&self, inner: S) -> HttpService<S> {
        HttpService {
            inner,
            route: self.route.clone(),
        }
    }
}

/// A service whose requests are spans. Made by [`HttpLayer`].
#[derive(Clone)]
pub struct HttpService<S> {
    inner: S,
    route: Option<Route>,
}

impl<S: fmt::Debug> fmt::Debug for HttpService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut service = f.debug_struct("HttpService");
        service.field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, Body, Answer> Service<Request<Body>> for HttpService<S>
where
    S: Service<Request<Body>, Response = Response<Answer>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture<S::Future> {
        let (parts, body) = request.into_parts();
        let span = self.span(&parts);
        let request = Request::from_parts(parts, body);
        // Entered here too: some services work before their future is polled.
        let inner = span.in_scope(|| self.inner.call(request));
        ResponseFuture {
            inner: inner.instrument(span),
        }
    }
}

impl<S> HttpService<S> {
    fn span(&self, parts: &request::Parts) -> Span {
        let route = match &self.route {
            Some(route) => contained(|| route(parts)).flatten().map(Cow::Owned),
            None => known_route(parts),
        };
        let method = known_method(&parts.method);
        // Known when the span opens: rates may be set by it.
        let name = method.unwrap_or("HTTP");
        let name = match &route {
            Some(route) => Cow::Owned(format!("{name} {route}")),
            None => Cow::Borrowed(name),
        };
        let text = |name: &HeaderName| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        // HTTP/2 has it in place of the header.
        let authority = parts.uri.authority().map(|it| it.as_str());
        crate::continue_trace(extract(&parts.headers), || {
            tracing::info_span!(
                target: "bugsage::http",
                "request",
                otel.name = &*name,
                otel.kind = "server",
                otel.status_code = Empty,
                http.request.method = method.unwrap_or("_OTHER"),
                http.request.method_original =
                    method.is_none().then_some(parts.method.as_str()),
                url.path = path(parts),
                http.route = route.as_deref(),
                http.response.status_code = Empty,
                server.address = text(&HOST).or(authority),
                user_agent.original = text(&USER_AGENT),
            )
        })
    }
}

/// A method of the standards (RFC 9110, RFC 5789). Others are the client's words, of which it may have as
/// many as it likes: they name no span.
fn known_method(method: &Method) -> Option<&str> {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::CONNECT,
        Method::TRACE,
    ];
    known.contains(method).then_some(method.as_str())
}

/// The path as the client sent it: a router within another one is told what is left of it.
fn path(parts: &request::Parts) -> &str {
    #[cfg(feature = "axum")]
    if let Some(whole) = parts.extensions.get::<axum::extract::OriginalUri>() {
        return whole.path();
    }
    parts.uri.path()
}

/// The routes that can be known without being told.
fn known_route(parts: &request::Parts) -> Option<Cow<'_, str>> {
    #[cfg(feature = "axum")]
    if let Some(matched) = parts.extensions.get::<axum::extract::MatchedPath>() {
        return Some(matched.as_str().into());
    }
    let kind = parts.headers.get(http::header::CONTENT_TYPE)?;
    let is_grpc = kind.as_bytes().starts_with(b"application/grpc");
    is_grpc.then(|| parts.uri.path().into())
}

pin_project! {
    /// What a request comes to. Made by [`HttpService`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: Instrumented<F>,
    }
}

impl<F, Answer, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Answer>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut inner = self.project().inner;
        let outcome = std::task::ready!(inner.as_mut().poll(cx));
        let span = inner.span();
        match &outcome {
            Ok(response) => {
                span.record("http.response.status_code", response.status().as_u16());
                if response.status().is_server_error() {
                    span.record("otel.status_code", "ERROR");
                }
            }
            Err(_) => {
                span.record("otel.status_code", "ERROR");
            }
        }
        Poll::Ready(outcome)
    }
}

/// The caller's place in its trace, where the headers tell it as the standard says. Two `traceparent`
/// headers tell nothing.
pub fn extract(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let value = values.next()?.to_str().ok()?;
    values
        .next()
        .is_none()
        .then(|| value.parse().ok())
        .flatten()
}

/// Tells the service that is called where the trace is at, in place of what the headers said. Does nothing
/// where no span is open. Costs formatting 55 bytes.
pub fn inject(headers: &mut HeaderMap) {
    let Some(context) = crate::trace_context() else {
        return;
    };
    // Hex digits and hyphens are a header's value.
    if let Ok(value) = HeaderValue::from_str(&context.to_string()) {
        headers.insert(HeaderName::from_static(TRACEPARENT), value);
    }
}

/// Headers for a request to another service, none where no span is open, as `reqwest` takes them:
/// `client.get(url).headers(bugsage_sdk::http::trace_headers())`.
pub fn trace_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    inject(&mut headers);
    headers
}
