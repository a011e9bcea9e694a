//! Whether a request comes from this machine and means it.

use axum::http::HeaderMap;
use axum::http::header::HOST;

/// Whether it names a loopback host: this keeps web pages elsewhere from reading ours by a name that they
/// point at this machine. Whether the listener is one, its owner knows.
pub fn has_loopback_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST).and_then(|host| host.to_str().ok()) else {
        return false;
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    let is_loopback = |ip: std::net::IpAddr| ip.is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_loopback_names_are_let_in() {
        let allowed = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_str(host).expect("is a header"));
            has_loopback_host(&headers)
        };

        for host in [
            "127.0.0.1:4100",
            "localhost",
            "LOCALHOST:1",
            "[::1]:4100",
            "127.9.9.9",
        ] {
            assert!(allowed(host), "{host}");
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example:80",
            "10.0.0.1",
            "[::2]:1",
            "",
        ] {
            assert!(!allowed(host), "{host}");
        }
        assert!(!has_loopback_host(&HeaderMap::new()));
    }
}
