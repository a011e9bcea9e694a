//! TLS settings that leave the app's own alone: the provider is passed, never installed.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::dial::Stream;

/// What is offered to a collector, the best first. HTTP/1.1 alone needs no word.
const PROTOCOLS: &[&[u8]] = if cfg!(feature = "http2") {
    &[b"h2", b"http/1.1"]
} else {
    &[]
};

/// Whom to believe, and what to offer them.
pub(super) struct Tls {
    pub(super) to_collector: TlsConnector,
    /// A proxy is spoken to in HTTP/1.1 alone.
    pub(super) to_proxy: TlsConnector,
}

impl Tls {
    /// With `roots`, servers are also trusted that these certificates vouch for, as PEM. `None` where
    /// there is no provider, or nothing to check certificates by.
    pub(super) fn new(roots: &[Vec<u8>]) -> Option<Self> {
        let provider = provider()?;
        let certificates = roots
            .iter()
            .flat_map(|pem| CertificateDer::pem_slice_iter(pem));
        let certificates = certificates.flatten();
        let verifier = Verifier::new_with_extra_roots(certificates, provider.clone()).ok()?;
        let verifier = Arc::new(verifier);
        let connector = |protocols: &[&[u8]]| {
            let mut config = ClientConfig::builder_with_provider(provider.clone())
                .with_safe_default_protocol_versions()
                .ok()?
                .dangerous()
                .with_custom_certificate_verifier(verifier.clone())
                .with_no_client_auth();
            config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
            Some(TlsConnector::from(Arc::new(config)))
        };
        let to_collector = connector(PROTOCOLS)?;
        Some(Self {
            to_proxy: match PROTOCOLS {
                [] => to_collector.clone(),
                _ => connector(&[])?,
            },
            to_collector,
        })
    }
}

/// Agrees on keys with `host`, which must prove that it is `host`.
pub(super) async fn secure(
    connector: &TlsConnector,
    host: &str,
    stream: Box<dyn Stream>,
) -> Option<TlsStream<Box<dyn Stream>>> {
    let name = ServerName::try_from(host.to_owned()).ok()?;
    connector.connect(name, stream).await.ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_can_be_made_without_an_installed_provider() {
        assert!(Tls::new(&[]).is_some());
    }
}
