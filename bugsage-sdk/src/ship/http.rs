//! Posts sealed batches with `reqwest`, over TLS settings of our own.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bugsage_core::batch::Sealed;
use bugsage_core::dsn::Dsn;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use rustls::crypto::CryptoProvider;
use rustls_platform_verifier::BuilderVerifierExt;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a whole exchange may take. A server that takes the batch and never answers costs this
/// much, and the batch is sent again.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(15);

/// How much of an answer is read: a list of rejected items at most.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Acknowledged; single items may have been turned away.
    Taken { rejected_items: Vec<u32> },
    /// Turned away for good.
    Refused,
    /// Nobody took it. `after` is how long the collector asked us to wait.
    Later {
        after: Option<Duration>,
        trouble: Option<Trouble>,
    },
}

/// What a person has to mend before anything arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nobody answers at the address.
    Unreachable,
    /// The collector does not know the key.
    Key,
    /// The collector is older than this SDK.
    Format,
}

impl Trouble {
    /// How long to leave the collector alone: a person has to act before it helps to try again.
    pub(super) fn patience(self) -> Duration {
        match self {
            Trouble::Unreachable => Duration::ZERO,
            Trouble::Key | Trouble::Format => Duration::from_secs(60),
        }
    }

    /// What to do about it, in words.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Trouble::Unreachable => {
                "no collector answers there; is it running, and is the address right?"
            }
            Trouble::Key => {
                "the collector does not know the key: copy the DSN from `bugsage project list`"
            }
            Trouble::Format => "the collector is older than this SDK: update it",
        }
    }
}

pub(super) struct Http {
    /// `None` where no client could be made, so that every try fails and is tried again.
    client: Option<reqwest::Client>,
    url: String,
    authorization: HeaderValue,
}

impl Http {
    pub(super) fn new(dsn: &Dsn) -> Self {
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", dsn.key()))
            .unwrap_or(HeaderValue::from_static(""));
        authorization.set_sensitive(true);
        Self {
            client: client(),
            url: dsn.batches_url(),
            authorization,
        }
    }

    /// Sends the bytes as they were sealed.
    pub(super) fn post(&self, sealed: Arc<Sealed>) -> impl Future<Output = Answer> + 'static {
        let request = self.client.as_ref().map(|client| {
            client
                .post(&self.url)
                .header(AUTHORIZATION, self.authorization.clone())
                .header(CONTENT_TYPE, "application/octet-stream")
                .body(sealed.bytes.clone())
        });
        async move {
            let Some(request) = request else {
                return Answer::Later {
                    after: None,
                    trouble: None,
                };
            };
            match request.send().await {
                Ok(response) => read(response).await,
                Err(error) => {
                    let trouble = error.is_connect().then_some(Trouble::Unreachable);
                    Answer::Later {
                        after: None,
                        trouble,
                    }
                }
            }
        }
    }
}

/// A client that leaves the app's own TLS alone: the provider is passed, never installed.
fn client() -> Option<reqwest::Client> {
    let provider = provider()?;
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_platform_verifier()
        .ok()?
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(EXCHANGE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("bugsage-sdk/", env!("CARGO_PKG_VERSION")))
        .pool_max_idle_per_host(1)
        .build()
        .ok()
}

/// The provider of the feature that is on, else the one that the app has installed.
fn provider() -> Option<Arc<CryptoProvider>> {
    #[cfg(feature = "ring")]
    let provider = Some(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(all(feature = "aws-lc", not(feature = "ring")))]
    let provider = Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(not(any(feature = "ring", feature = "aws-lc")))]
    let provider = CryptoProvider::get_default().cloned();
    provider
}

async fn read(mut response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    let after = after
        .and_then(|seconds| seconds.trim().parse().ok())
        .map(Duration::from_secs);
    match status {
        200..=299 => {
            let mut body = Vec::new();
            // The status has said what counts; a body that breaks off only tells less.
            while let Ok(Some(chunk)) = response.chunk().await
                && body.len() + chunk.len() <= ANSWER_BYTES_MAX
            {
                body.extend_from_slice(&chunk);
            }
            Answer::Taken {
                rejected_items: rejected_items(&String::from_utf8_lossy(&body)),
            }
        }
        400 | 413 => Answer::Refused,
        401 | 403 | 415 => Answer::Later {
            after,
            trouble: Some(if status == 415 {
                Trouble::Format
            } else {
                Trouble::Key
            }),
        },
        _ => Answer::Later {
            after,
            trouble: None,
        },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_items_are_read_from_the_answer() {
        let answer =
            r#"{"accepted":1,"duplicate":0,"rejected":[{"index":4,"reason":"x"},{"index": 7}]}"#;

        assert_eq!(rejected_items(answer), [4, 7]);
        assert_eq!(
            rejected_items(r#"{"accepted":1,"rejected":[]}"#),
            Vec::<u32>::new()
        );
        assert_eq!(rejected_items("<html>"), Vec::<u32>::new());
    }

    #[test]
    fn a_client_can_be_made_without_an_installed_provider() {
        assert!(client().is_some());
    }
}
