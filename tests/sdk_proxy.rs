//! Where the environment names a proxy, reports go by way of it, and of no other.

use crate::support::program::{Ended, Program, subject};
use crate::support::proxy::Tunnels;
use crate::support::sink::{KEY, Reply, Sink};
use crate::support::tls::TlsSink;

/// `user:pass word` in Base64.
const CREDENTIALS: &str = "Basic dXNlcjpwYXNzIHdvcmQ=";

fn reporting_to(dsn: String) -> Program {
    subject("messages").arg("1").dsn(dsn)
}

/// What the subject told about its reports, which go nowhere.
#[track_caller]
fn troubles(program: Program) -> String {
    let patience = std::time::Duration::from_secs(2);
    let ended: Ended = program.timeout(patience).run().well();
    assert_eq!(ended.account("account").spooled, 1);
    ended.stderr
}

#[test]
fn a_proxy_that_forwards_is_told_user_and_password() {
    let proxy = Sink::open();
    let url = proxy.address().replace("://", "://user:pass%20word@");

    let program = reporting_to(format!("http://{KEY}@collector.invalid/1"));
    let ended = program.env("http_proxy", url).run().well();

    assert_eq!(ended.account("account").delivered, 1);
    let received = proxy.received();
    let request = &received[0].request;
    assert_eq!(request.line, "POST http://collector.invalid/v1/batches");
    assert_eq!(request.header("host"), Some("collector.invalid"));
    assert_eq!(request.header("proxy-authorization"), Some(CREDENTIALS));
}

#[test]
fn a_collector_with_tls_is_reached_through_a_tunnel_that_sees_no_key() {
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let (server, proxy) = (TlsSink::open(variable), Tunnels::open());
        let url = format!("http://user:pass%20word@{}", proxy.address());

        let program = reporting_to(server.sink.dsn()).env("SSL_CERT_FILE", &server.trusted);
        let ended = program.env(variable, url).run().well();

        assert_eq!(ended.account("account").delivered, 1, "by {variable}");
        let received = server.sink.received();
        let request = &received[0].request;
        assert_eq!(request.line, "POST /v1/batches");
        assert_eq!(request.header("proxy-authorization"), None);
        let asked = proxy.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        let host = server.sink.address().replace("https://", "");
        assert_eq!(asked[0][0], format!("connect {host} http/1.1"));
        let tells = |line: &str| asked[0].contains(&line.to_ascii_lowercase());
        assert!(tells(&format!("host: {host}")), "{asked:?}");
        assert!(
            tells(&format!("proxy-authorization: {CREDENTIALS}")),
            "{asked:?}"
        );
        assert!(!asked[0].concat().contains(KEY), "{asked:?}");
    }
}

#[test]
fn a_tunnel_makes_nobody_trust_another_server() {
    let (server, proxy) = (TlsSink::open("tunneled"), Tunnels::open());

    let program = reporting_to(server.sink.dsn());
    troubles(program.env("HTTPS_PROXY", format!("http://{}", proxy.address())));

    assert!(!proxy.asked().is_empty(), "it was tried");
    assert!(server.sink.received().is_empty());
}

#[test]
fn a_proxy_may_have_tls_itself() {
    let proxy = TlsSink::open("proxy");

    let program = reporting_to(format!("http://{KEY}@collector.invalid/1"));
    let program = program.env("SSL_CERT_FILE", &proxy.trusted);
    let ended = program.env("HTTP_PROXY", proxy.sink.address()).run().well();

    assert_eq!(ended.account("account").delivered, 1);
    let line = proxy.sink.received()[0].request.line.clone();
    assert_eq!(line, "POST http://collector.invalid/v1/batches");
}

#[test]
fn a_proxy_that_wants_a_password_is_told_once_in_words() {
    let tunnels = Tunnels::answering("407 Proxy Authentication Required");
    let forwarder = Sink::replying([Reply::Status(407); 20]);
    let url = format!("http://{}", tunnels.address());

    for (scheme, variable, url) in [
        ("https", "HTTPS_PROXY", url),
        ("http", "HTTP_PROXY", forwarder.address()),
    ] {
        let program = reporting_to(format!("{scheme}://{KEY}@collector.invalid/1"));
        let told = troubles(program.env(variable, url));

        let advice = "the proxy wants a user and a password";
        assert_eq!(told.matches(advice).count(), 1, "{told}");
    }
}

#[test]
fn a_proxy_that_speaks_socks_is_told_once_in_words() {
    let sink = Sink::open();

    let program = reporting_to(sink.dsn()).env("ALL_PROXY", "socks5h://127.0.0.1:1080");
    let told = troubles(program);

    assert_eq!(told.matches("SOCKS").count(), 1, "{told}");
    assert!(sink.received().is_empty(), "no way round it is taken");
}

#[test]
fn a_request_to_a_cgi_program_names_no_proxy() {
    let (sink, proxy) = (Sink::open(), Sink::open());

    // Of a header `Proxy:` of a visitor web servers make `HTTP_PROXY`.
    let program = reporting_to(sink.dsn()).env("REQUEST_METHOD", "GET");
    let ended = program.env("HTTP_PROXY", proxy.address()).run().well();

    assert_eq!(ended.account("account").delivered, 1);
    assert!(proxy.received().is_empty());
}
