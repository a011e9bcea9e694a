//! Posts sealed batches to a collector, over HTTP and TLS.
//!
//! `hyper` speaks HTTP on connections that are made here. A client for everything costs an app three
//! quarters of a megabyte more, for redirects, cookies, names in all alphabets and pools that nobody
//! needs to post to one address.

mod client;
mod connection;
mod route;
mod dial;
mod tls;
#[cfg(test)]
mod tests;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bugsage_core::batch::Sealed;
use bugsage_core::dsn::{self, Dsn};
use bugsage_core::pauses::{self, Pauses};
use bugsage_core::remote::{self, RemoteSettings};
use hyper::Response;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
    USER_AGENT,
};
use tokio::time::{Instant, timeout_at};

use super::carrier::{Heard, Trouble};
use crate::transport::Answer;

use client::{Client, Failure};
use route::Route;
use tls::Tls;

/// How long a whole exchange may take. A server that takes the batch and never answers costs this
/// much, and the batch is sent again.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(15);

/// How much of an answer is read: a list of rejected items at most.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// Nobody answers at the address.
const UNREACHABLE: Trouble = Trouble {
    advice: "no collector answers there; is it running, and is the address right?",
    is_down: true,
    patience: Duration::ZERO,
};

/// A proxy that does not know us.
const UNKNOWN_TO_PROXY: Trouble = Trouble {
    advice: "the proxy wants a user and a password: they stand in its URL, `http://user:password@host:port`",
    is_down: true,
    patience: Duration::from_secs(60),
};

/// A proxy that we cannot speak with.
const SOCKS: Trouble = Trouble {
    advice: "proxies that speak SOCKS are not supported: name one that speaks HTTP, or the collector's host in NO_PROXY",
    is_down: true,
    patience: Duration::from_secs(60),
};

/// The collector does not know the key, or knows it for another project.
const UNKNOWN_KEY: Trouble = Trouble {
    advice: "the collector does not know the key, or not for this project: copy the DSN from `bugsage project list`",
    is_down: true,
    patience: Duration::from_secs(60),
};

/// The collector is older than this SDK.
const UNKNOWN_FORMAT: Trouble = Trouble {
    advice: "the collector is older than this SDK: update it",
    is_down: true,
    patience: Duration::from_secs(60),
};

/// The connection to a collector.
pub(super) struct Http {
    /// `None` where no client could be made, so that every try fails and is tried again.
    client: Option<Rc<Client>>,
}

impl Http {
    /// With `roots`, servers are also trusted that these certificates vouch for, as PEM.
    pub(super) fn new(dsn: &Dsn, roots: &[Vec<u8>]) -> Self {
        let client = || {
            let route = Route::of_environment(&dsn.batches_url())?;
            let client = Client::new(route, Tls::new(roots)?, headers(dsn));
            Some(Rc::new(client))
        };
        Self { client: client() }
    }

    /// Sends the bytes as they were sealed.
    pub(super) fn post(&self, sealed: Arc<Sealed>) -> impl Future<Output = Heard> + 'static {
        let client = self.client.clone();
        async move {
            match client {
                Some(client) => {
                    let batch = Bytes::from(sealed.bytes.clone());
                    exchange(&client, batch, EXCHANGE_TIMEOUT).await
                }
                None => Answer::Later { after: None }.into(),
            }
        }
    }
}

/// What every post tells of itself.
fn headers(to: &Dsn) -> HeaderMap {
    let mut authorization = HeaderValue::try_from(format!("Bearer {}", to.key()))
        .unwrap_or(HeaderValue::from_static(""));
    authorization.set_sensitive(true);
    let ourselves = concat!("bugsage-sdk/", env!("CARGO_PKG_VERSION"));
    HeaderMap::from_iter([
        (ACCEPT, HeaderValue::from_static("*/*")),
        (AUTHORIZATION, authorization),
        (
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (USER_AGENT, HeaderValue::from_static(ourselves)),
        (
            HeaderName::from_static(dsn::PROJECT_HEADER),
            HeaderValue::from(to.project()),
        ),
    ])
}

async fn exchange(client: &Client, batch: Bytes, timeout: Duration) -> Heard {
    let deadline = Instant::now() + timeout;
    let posted = timeout_at(deadline, client.post(&batch)).await;
    let (mut response, connection) = match posted.unwrap_or(Err(Failure::Broken)) {
        Ok(answered) => answered,
        Err(failure) => {
            return Heard {
                trouble: trouble_of(failure),
                ..Answer::Later { after: None }.into()
            };
        }
    };
    let mut heard = understand(&response);
    if heard.answer == Answer::Taken {
        let mut body = Vec::new();
        // The status has said what counts; a body that breaks off only tells less.
        let is_whole = timeout_at(deadline, read(&mut response, &mut body)).await;
        heard.rejected_items = rejected_items(&String::from_utf8_lossy(&body));
        if is_whole != Ok(true) {
            return heard;
        }
    }
    client.keep(connection);
    heard
}

fn trouble_of(failure: Failure) -> Option<Trouble> {
    match failure {
        Failure::Unreachable => Some(UNREACHABLE),
        Failure::SocksProxy => Some(SOCKS),
        Failure::ProxyRefused => Some(UNKNOWN_TO_PROXY),
        Failure::Broken => None,
    }
}

/// What the head of an answer says.
fn understand(response: &Response<Incoming>) -> Heard {
    let status = response.status().as_u16();
    let text = |name| {
        let value = response.headers().get(name);
        value.and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let after = text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.trim().parse().ok());
    let after = after.map(Duration::from_secs);
    let answer = match status {
        200..=299 => Answer::Taken,
        400 | 413 => Answer::Refused,
        _ => Answer::Later { after },
    };
    // Other answers may come from whoever stands in between; they say nothing about settings. One that took
    // the batch and has no such header asks for nothing.
    let asked = (answer == Answer::Taken).then(|| {
        let value = text(remote::HEADER);
        value.map(RemoteSettings::parse).unwrap_or_default()
    });
    Heard {
        answer,
        rejected_items: Vec::new(),
        trouble: match status {
            401 | 403 => Some(UNKNOWN_KEY),
            407 => Some(UNKNOWN_TO_PROXY),
            415 => Some(UNKNOWN_FORMAT),
            _ => None,
        },
        pauses: text(pauses::HEADER).map(Pauses::parse).unwrap_or_default(),
        asked,
    }
}

/// Reads a body; says whether that was all of it.
async fn read(response: &mut Response<Incoming>, body: &mut Vec<u8>) -> bool {
    loop {
        let incoming = response.body_mut();
        let frame = poll_fn(|cx| Pin::new(&mut *incoming).poll_frame(cx)).await;
        let data = match frame {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        if body.len() + data.len() > ANSWER_BYTES_MAX {
            return false;
        }
        body.extend_from_slice(&data);
    }
}

/// The numbers behind `"index":` in `{"accepted":..,"duplicate":..,"rejected":[{"index":..,..}]}`.
/// Nothing else in an answer has that name.
fn rejected_items(answer: &str) -> Vec<u32> {
    let indexes = answer.split("\"index\":").skip(1).filter_map(|rest| {
        let rest = rest.trim_start();
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest[..end].parse().ok()
    });
    indexes.collect()
}
