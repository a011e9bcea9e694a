//! Servers over TLS that nobody vouches for but who is told to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;

use super::sink::Sink;

/// A server over TLS with a certificate of its own, and the file that makes a subject trust it.
pub(crate) struct TlsSink {
    pub(crate) sink: Sink,
    pub(crate) trusted: PathBuf,
}

/// Settings of a server with a certificate of its own, and the file that makes a subject trust it.
pub(crate) fn certified(name: &str) -> (ServerConfig, PathBuf) {
    let names = ["127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(names).expect("a certificate can be made");
    // Other test runs may use the same folder at the same time.
    let file = format!("{name}-{}.pem", std::process::id());
    let trusted = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    std::fs::write(&trusted, cert.pem()).expect("the folder can be written");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("is a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the versions are known")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("certificate and key belong together");
    (config, trusted)
}

impl TlsSink {
    pub(crate) fn open(name: &str) -> Self {
        let (config, trusted) = certified(name);
        Self {
            sink: Sink::with_tls(config),
            trusted,
        }
    }
}

impl Drop for TlsSink {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.trusted);
    }
}
