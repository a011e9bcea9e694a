//! Posts sealed batches with `reqwest`, over TLS settings of our own.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bugsage_core::batch::Sealed;
use bugsage_core::dsn::Dsn;
use bugsage_core::pauses::{self, Pauses};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use super::carrier::{Heard, Trouble};
use crate::transport::Answer;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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

/// The collector does not know the key.
const UNKNOWN_KEY: Trouble = Trouble {
    advice: "the collector does not know the key: copy the DSN from `bugsage project list`",
    is_down: false,
    patience: Duration::from_secs(60),
};

/// The collector is older than this SDK.
const UNKNOWN_FORMAT: Trouble = Trouble {
    advice: "the collector is older than this SDK: update it",
    is_down: false,
    patience: Duration::from_secs(60),
};

/// The connection to a collector.
pub(super) struct Http {
    /// `None` where no client could be made, so that every try fails and is tried again.
    client: Option<reqwest::Client>,
    url: String,
    authorization: HeaderValue,
}

impl Http {
    /// With `roots`, servers are also trusted that these certificates vouch for, as PEM.
    pub(super) fn new(dsn: &Dsn, roots: &[Vec<u8>]) -> Self {
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", dsn.key()))
            .unwrap_or(HeaderValue::from_static(""));
        authorization.set_sensitive(true);
        Self {
            client: client(roots),
            url: dsn.batches_url(),
            authorization,
        }
    }

    /// Sends the bytes as they were sealed.
    pub(super) fn post(&self, sealed: Arc<Sealed>) -> impl Future<Output = Heard> + 'static {
        let request = self.client.as_ref().map(|client| {
            client
                .post(&self.url)
                .header(AUTHORIZATION, self.authorization.clone())
                .header(CONTENT_TYPE, "application/octet-stream")
                .body(sealed.bytes.clone())
        });
        async move {
            let Some(request) = request else {
                return Answer::Later { after: None }.into();
            };
            match request.send().await {
                Ok(response) => read(response).await,
                Err(error) => Heard {
                    trouble: error.is_connect().then_some(UNREACHABLE),
                    ..Answer::Later { after: None }.into()
                },
            }
        }
    }
}

/// A client that leaves the app's own TLS alone: the provider is passed, never installed.
fn client(roots: &[Vec<u8>]) -> Option<reqwest::Client> {
    let provider = provider()?;
    let certificates = roots
        .iter()
        .flat_map(|pem| CertificateDer::pem_slice_iter(pem));
    let certificates = certificates.flatten();
    let verifier = Verifier::new_with_extra_roots(certificates, provider.clone()).ok()?;
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    if cfg!(feature = "http2") {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
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

async fn read(mut response: reqwest::Response) -> Heard {
    let status = response.status().as_u16();
    let text = |name| {
        let value = response.headers().get(name);
        value.and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let after = text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.trim().parse().ok());
    let after = after.map(Duration::from_secs);
    let pauses = text(pauses::HEADER).map(Pauses::parse).unwrap_or_default();
    let answer = match status {
        200..=299 => Answer::Taken,
        400 | 413 => Answer::Refused,
        _ => Answer::Later { after },
    };
    let rejected_items = match answer {
        Answer::Taken => rejected_items(&body(&mut response).await),
        _ => Vec::new(),
    };
    Heard {
        answer,
        rejected_items,
        trouble: match status {
            401 | 403 => Some(UNKNOWN_KEY),
            415 => Some(UNKNOWN_FORMAT),
            _ => None,
        },
        pauses,
    }
}

/// What the body says. The status has said what counts; one that breaks off only tells less.
async fn body(response: &mut reqwest::Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await
        && body.len() + chunk.len() <= ANSWER_BYTES_MAX
    {
        body.extend_from_slice(&chunk);
    }
    String::from_utf8_lossy(&body).into_owned()
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
        assert!(client(&[]).is_some());
    }
}
