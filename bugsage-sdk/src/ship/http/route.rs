//! The way to a collector: straight, or through a proxy that the environment names.

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;

/// A host that is connected to.
pub(super) struct Host {
    /// A name or an address, without brackets.
    pub(super) name: String,
    pub(super) port: u16,
    /// Both, as they stand in a URL.
    pub(super) authority: String,
    pub(super) has_tls: bool,
}

impl Host {
    fn of(url: &Uri) -> Option<Self> {
        let host = url.host()?;
        let has_tls = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if has_tls { 443 } else { 80 });
        Some(Self {
            name: host.trim_matches(['[', ']']).to_owned(),
            port,
            authority: format!("{host}:{port}"),
            has_tls,
        })
    }
}

/// What stands between this process and the collector.
pub(super) enum Proxy {
    /// Nothing.
    None,
    /// What forwards requests, or the bytes of a connection, and what the user and password in its
    /// URL come to.
    Http(Host, Option<HeaderValue>),
    /// What speaks SOCKS, as we do not.
    Socks,
}

/// The way to a collector.
pub(super) struct Route {
    /// Where batches are posted.
    pub(super) url: Uri,
    pub(super) collector: Host,
    pub(super) proxy: Proxy,
}

impl Route {
    /// As the environment has it now. What cannot be read there is no proxy.
    pub(super) fn of_environment(url: &str) -> Option<Self> {
        Self::past(&Matcher::from_env(), url)
    }

    fn past(proxies: &Matcher, url: &str) -> Option<Self> {
        let url: Uri = url.parse().ok()?;
        let proxy = match proxies.intercept(&url) {
            None => Proxy::None,
            Some(proxy) => match proxy.uri().scheme_str() {
                Some("http" | "https") => {
                    Proxy::Http(Host::of(proxy.uri())?, proxy.basic_auth().cloned())
                }
                _ => Proxy::Socks,
            },
        };
        Some(Self {
            collector: Host::of(&url)?,
            proxy,
            url,
        })
    }

    /// Whether a proxy reads the requests. Through one that does not, nobody between us and the
    /// collector sees more than that we are connected.
    pub(super) fn is_forwarded(&self) -> bool {
        matches!(self.proxy, Proxy::Http(..)) && !self.collector.has_tls
    }

    /// What stands in the first line of a request over HTTP/1.1.
    pub(super) fn target(&self) -> Uri {
        match self.url.path_and_query() {
            Some(path) if !self.is_forwarded() => Uri::from(path.clone()),
            _ => self.url.clone(),
        }
    }

    /// The header of HTTP/1.1 that names the host, without the port that everybody assumes.
    pub(super) fn host_header(&self) -> Option<HeaderValue> {
        let Host {
            authority, has_tls, ..
        } = &self.collector;
        let assumed = if *has_tls { ":443" } else { ":80" };
        HeaderValue::from_str(authority.strip_suffix(assumed).unwrap_or(authority)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where every host has this proxy but those that `exempt` names.
    fn route(url: &str, proxy: &str, exempt: &str) -> Route {
        let proxies = Matcher::builder().all(proxy).no(exempt).build();
        Route::past(&proxies, url).expect("is a URL")
    }

    #[test]
    fn a_collector_is_reached_straight_where_its_host_suffix_or_network_is_exempt() {
        for (url, exempt, other) in [
            ("https://a.example.com/", "example.com", "a.example.org"),
            ("https://a.example.com/", ".example.com", "ample.com"),
            ("http://10.1.2.3:4100/", "10.0.0.0/8", "10.0.0.0/16"),
            ("http://10.1.2.3:4100/", "x, 10.1.2.3", "10.1.2.4"),
            ("http://[fd00::1]:4100/", "fd00::/8", "fe80::/10"),
            ("http://localhost:4100/", "*", ""),
        ] {
            let is_straight = |exempt| {
                let route = route(url, "http://proxy:3128", exempt);
                matches!(route.proxy, Proxy::None)
            };

            assert!(is_straight(exempt), "{url} is exempt by {exempt}");
            assert!(!is_straight(other), "{url} is not exempt by {other}");
        }
    }

    #[test]
    fn a_proxy_reads_only_requests_that_have_no_tls() {
        for (url, target) in [
            ("http://host:4100/a/b", "http://host:4100/a/b"),
            ("https://host:4100/a/b", "/a/b"),
        ] {
            assert_eq!(route(url, "http://proxy", "").target(), target);
            assert_eq!(route(url, "http://proxy", "*").target(), "/a/b");
        }
    }

    #[test]
    fn a_host_is_read_from_its_url() {
        for (url, name, port, header) in [
            ("https://a.b/c", "a.b", 443, "a.b"),
            ("https://a.b:443/c", "a.b", 443, "a.b"),
            ("https://a.b:80/c", "a.b", 80, "a.b:80"),
            ("http://a/", "a", 80, "a"),
            ("http://[::1]:4100/", "::1", 4100, "[::1]:4100"),
        ] {
            let route = route(url, "", "");

            let collector = &route.collector;
            assert_eq!((&*collector.name, collector.port), (name, port), "{url}");
            let host_header = route.host_header().expect("is plain text");
            assert_eq!(host_header, header, "{url}");
        }
    }

    #[test]
    fn every_kind_of_socks_is_known() {
        for kind in ["socks4", "socks4a", "socks5", "socks5h"] {
            for user in ["", "user:password@"] {
                let route = route("http://host/", &format!("{kind}://{user}proxy"), "");

                assert!(matches!(route.proxy, Proxy::Socks), "{kind} {user}");
            }
        }
    }
}
