//! Pages for people, rendered here: issues, traces, and how releases are doing.
//!
//! In: questions under the local operator's scope. Out: HTML, escaped by type.
//! Never: JavaScript, anything from another host, an answer to somebody who is not at this machine.
//!
//! There are no members yet, so pages answer only where the listener is a loopback address and the
//! request names a loopback host; the second keeps web pages elsewhere from reading ours by a name
//! that they point at this machine.

pub mod query;
mod issues;
mod issue;
mod regroup;
mod similar;
mod traces;
mod trace;
mod releases;
mod ledger;
mod fix;
mod parts;
mod chart;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::Markup;

use bugsage_core::clock::Clock;

use crate::api::local::{has_loopback_host, is_of_ours};
use crate::group::sources::SourceCache;
use crate::store::scope::Scope;
use crate::store::{Store, StoreError};

const STYLE: &str = include_str!("../../assets/bugsage.css");

/// Nothing but our own style sheet, and forms that come back here.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'";

/// What pages need.
pub struct Pages {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// Whether only this machine can reach the listener.
    is_local: bool,
    scope: Scope,
    sources: Arc<SourceCache>,
}

impl Pages {
    /// Pages over a store.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        sources: Arc<SourceCache>,
        is_local: bool,
    ) -> Self {
        Self {
            store,
            clock,
            is_local,
            scope: Scope::local_operator(),
            sources,
        }
    }
}

/// All pages.
pub fn routes(pages: Arc<Pages>) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::to("/issues") }))
        .route("/issues", get(issues::page))
        .route("/issues/{id}", get(issue::page))
        .route("/issues/{id}/merge", post(regroup::merge))
        .route("/issues/{id}/unmerge", post(regroup::unmerge))
        .route("/issues/{id}/split", post(regroup::split))
        .route("/traces", get(traces::page))
        .route("/traces/{id}", get(trace::page))
        .route("/releases", get(releases::page))
        .route("/ledger", get(ledger::page))
        .route("/assets/bugsage.css", get(style))
        .fallback(|| async { PageError::Nowhere })
        .layer(middleware::from_fn_with_state(pages.clone(), guard))
        .with_state(pages)
}

async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

/// Lets only this machine in, and sets the headers of every page.
async fn guard(State(pages): State<Arc<Pages>>, request: Request, next: Next) -> Response {
    let is_allowed = pages.is_local && has_loopback_host(request.headers());
    let mut response = if is_allowed && !request.method().is_safe() && !is_of_ours(&request) {
        let message = "This form is not of a page of this collector: open the page again and send it from there\n";
        (StatusCode::FORBIDDEN, message).into_response()
    } else if is_allowed {
        next.run(request).await
    } else {
        let message = "Pages are only shown on a loopback address, by a loopback name: \
             start with --listen 127.0.0.1:PORT and open http://127.0.0.1:PORT\n";
        (StatusCode::FORBIDDEN, message).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // To ourselves, so that a form says where it comes from.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A page that could not be made.
enum PageError {
    Store(StoreError),
    /// What a form of an issue's page asked for could not be done.
    Form(u64, StoreError),
    /// A form that no page has: what is wrong with it.
    Wrong(u64, &'static str),
    /// There is no such page.
    Nowhere,
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let (error, issue) = match self {
            Self::Store(error) => (error, None),
            Self::Form(issue, error) => (error, Some(issue)),
            Self::Wrong(issue, problem) => {
                let page = parts::message("This cannot be read", problem, Some(issue));
                return (StatusCode::BAD_REQUEST, page).into_response();
            }
            Self::Nowhere => {
                let page = parts::message("Not found", "There is no such page.", None);
                return (StatusCode::NOT_FOUND, page).into_response();
            }
        };
        match error {
            StoreError::NotFound { what, name } => {
                let text = format!("There is no {what} {name}.");
                let page = parts::message("Not found", &text, issue);
                (StatusCode::NOT_FOUND, page).into_response()
            }
            error @ StoreError::Refused(_) => {
                let text = format!("{}.", capitalized(&error.to_string()));
                let page = parts::message("This cannot be done", &text, issue);
                (StatusCode::CONFLICT, page).into_response()
            }
            error => {
                tracing::error!(error = %error, "a page could not be made");
                let text = "The store cannot be read at the moment.";
                let page = parts::message("Not now", text, issue);
                (StatusCode::SERVICE_UNAVAILABLE, page).into_response()
            }
        }
    }
}

fn capitalized(sentence: &str) -> String {
    let mut chars = sentence.chars();
    let first = chars.next().map(|first| first.to_uppercase());
    first.into_iter().flatten().chain(chars).collect()
}

type Page = Result<Markup, PageError>;
