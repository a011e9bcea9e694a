//! Whether a request comes from this machine and means it.

use axum::extract::Request;
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

/// Whether a request that changes something comes from a page of ours: a page elsewhere can make a browser send a
/// form here, and cannot make it say that the form is ours.
pub fn is_of_ours(request: &Request) -> bool {
    let header = |name| request.headers().get(name).and_then(|it| it.to_str().ok());
    match (header("sec-fetch-site"), header("origin"), header("host")) {
        (Some(site), ..) => site == "same-origin",
        // Of a browser that is older than 2023.
        (None, Some(origin), Some(host)) => origin.strip_prefix("http://") == Some(host),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use axum::body::Body;

    use super::*;

    #[test]
    fn a_form_is_ours_where_the_browser_says_so() {
        let is_ours = |headers: &[(&str, &str)]| {
            let mut request = Request::builder().header("host", "127.0.0.1:4100");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            is_of_ours(&request.body(Body::empty()).expect("is a request"))
        };

        assert!(is_ours(&[("sec-fetch-site", "same-origin")]));
        assert!(is_ours(&[("origin", "http://127.0.0.1:4100")]));
        assert!(!is_ours(&[]));
        assert!(!is_ours(&[("origin", "null")]));
        assert!(!is_ours(&[("origin", "http://evil.example")]));
        let mixed = [
            ("sec-fetch-site", "cross-site"),
            ("origin", "http://127.0.0.1:4100"),
        ];
        assert!(!is_ours(&mixed));
    }

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
