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

/// Whom to believe, and by which cryptography.
pub(super) struct Tls(ClientConfig);

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
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .ok()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Some(Self(config))
    }

    /// Agrees with `host`, which must prove that it is `host`, on keys and one of `protocols`.
    pub(super) async fn secure(
        &self,
        host: &str,
        protocols: &[&[u8]],
        stream: Box<dyn Stream>,
    ) -> Option<TlsStream<Box<dyn Stream>>> {
        let name = ServerName::try_from(host.to_owned()).ok()?;
        let mut config = ClientConfig::clone(&self.0);
        config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.ok()
    }
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
