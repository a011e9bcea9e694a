//! An app that has TLS of its own, or a choice still to make, is not disturbed by the SDK's.
//!
//! The subject has two crypto providers compiled in, so nothing can be chosen for it: whoever asks
//! for the process's provider before one is installed fails.

#[cfg(feature = "http2")]
use std::sync::Arc;

#[cfg(feature = "http2")]
use rustls::ServerConfig;

use crate::support::program::{Ended, subject};
use crate::support::tls::TlsSink;
#[cfg(feature = "http2")]
use crate::support::tls::certified;

/// Runs an app that installs a provider `never`, `before` or `after` the SDK, and checks that its
/// report arrives over TLS.
#[track_caller]
fn reports_beside_an_app_that_installs(when: &str) -> Ended {
    let server = TlsSink::open(when);

    let program = subject("tls").arg(when).dsn(server.sink.dsn());
    let ended = program.env("SSL_CERT_FILE", &server.trusted).run().well();

    assert_eq!(&*server.sink.only_event().message, "over TLS");
    ended
}

#[test]
fn an_app_that_chose_no_provider_still_has_none() {
    let ended = reports_beside_an_app_that_installs("never");

    assert_eq!(ended.told("after the start"), "none");
    assert_eq!(ended.told("at the end"), "none");
}

#[test]
fn an_app_that_chose_another_provider_keeps_it() {
    let ended = reports_beside_an_app_that_installs("before");

    assert!(!ended.told("after the start").contains("none"), "{ended:?}");
    assert_eq!(ended.told("at the end"), ended.told("after the start"));
}

#[test]
fn an_app_may_choose_another_provider_later() {
    let ended = reports_beside_an_app_that_installs("after");

    assert_eq!(ended.told("after the start"), "none");
    assert_ne!(ended.told("at the end"), "none");
}

#[test]
fn an_app_may_vouch_for_a_server_itself() {
    let server = TlsSink::open("own-root");

    let program = subject("own_root").arg(&server.trusted);
    program.dsn(server.sink.dsn()).run().well();

    assert_eq!(&*server.sink.only_event().message, "over TLS");
}

#[test]
fn no_variable_of_the_environment_turns_the_checks_off() {
    let server = TlsSink::open("unchecked");

    let mut program = subject("messages").arg("1").dsn(server.sink.dsn());
    // Those that clients in the field listen to.
    for (variable, value) in [
        ("SSL_VERIFY", "false"),
        ("SSL_VERIFY", "0"),
        ("NODE_TLS_REJECT_UNAUTHORIZED", "0"),
        ("PYTHONHTTPSVERIFY", "0"),
        ("GIT_SSL_NO_VERIFY", "1"),
        ("CURL_INSECURE", "1"),
        ("BUGSAGE_INSECURE", "1"),
    ] {
        program = program.env(variable, value);
    }
    let program = program.timeout(std::time::Duration::from_secs(2));
    let ended = program.run().well();

    assert_eq!(ended.account("account").spooled, 1);
    assert!(server.sink.received().is_empty());
}

#[test]
fn a_server_that_nobody_vouches_for_gets_nothing() {
    let server = TlsSink::open("untrusted");
    let other = TlsSink::open("trusted-instead");

    let program = subject("messages").arg("1").dsn(server.sink.dsn());
    let ended = program
        .env("SSL_CERT_FILE", &other.trusted)
        .timeout(std::time::Duration::from_secs(2))
        .run()
        .well();

    assert_eq!(ended.account("account").spooled, 1);
    assert!(server.sink.received().is_empty());
}

/// A server that speaks HTTP/2 alone takes two requests of one connection; tells what they were.
#[cfg(feature = "http2")]
fn serve_http2(config: ServerConfig, listener: std::net::TcpListener) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime can be made").block_on(async {
        listener.set_nonblocking(true).expect("is a socket");
        let listener = tokio::net::TcpListener::from_std(listener).expect("is a socket");
        let (stream, _) = listener.accept().await.expect("the SDK connects");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let stream = acceptor.accept(stream).await.expect("TLS is agreed on");
        let mut connection = h2::server::handshake(stream).await.expect("is HTTP/2");
        let mut requests = Vec::new();
        while requests.len() < 2
            && let Some(Ok((request, mut respond))) = connection.accept().await
        {
            requests.push(format!("{:?} {}", request.version(), request.uri().path()));
            let answer = http::Response::builder().status(200).body(());
            let answer = answer.expect("is an answer");
            respond
                .send_response(answer, true)
                .expect("the SDK waits for it");
        }
        // Until the SDK has read the last answer.
        let _ = connection.accept().await;
        requests
    })
}

#[cfg(feature = "http2")]
#[test]
fn a_server_that_speaks_http_2_is_spoken_to_in_it() {
    let (mut config, trusted) = certified("http2");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("is bound");
    let server = std::thread::spawn(move || serve_http2(config, listener));

    let program = subject("messages").arg("1");
    let program = program.dsn(format!("https://bsi_test@{address}/1"));
    let ended = program.env("SSL_CERT_FILE", &trusted).run().well();

    assert_eq!(ended.account("account").delivered, 1);
    let requests = server.join().expect("the server does not panic");
    assert_eq!(requests[0], "HTTP/2.0 /v1/batches");
    std::fs::remove_file(trusted).expect("was written");
}
