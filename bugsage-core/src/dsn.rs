//! Where an app's events go: `http://<ingest key>@host:port/<project id>`.

use std::fmt;
use std::str::FromStr;

/// The header of a batch that holds the number of the DSN's project.
pub const PROJECT_HEADER: &str = "bugsage-project";

/// The longest DSN that is read; real ones have about 80 bytes.
const DSN_BYTES_MAX: usize = 1_024;

/// A collector's address, a project there, and the key that may write into it.
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn {
    /// Whether the collector is reached over TLS.
    tls: bool,
    /// Host, port and path prefix, as they stand in a URL.
    authority: String,
    prefix: String,
    project: u64,
    key: String,
}

impl Dsn {
    /// Where batches are posted.
    pub fn batches_url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}/v1/batches", self.authority, self.prefix)
    }

    /// The project's number.
    pub fn project(&self) -> u64 {
        self.project
    }

    /// The ingest key. It can only write, yet it belongs in no log.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Writes the DSN without its key.
impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(
            f,
            "{scheme}://***@{}{}/{}",
            self.authority, self.prefix, self.project
        )
    }
}

/// What is wrong with a DSN. Never repeats the text, which holds the key.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDsn {
    /// Nothing is there.
    #[error("the DSN is empty")]
    Empty,
    /// It is longer than any DSN.
    #[error("the DSN is longer than {DSN_BYTES_MAX} bytes")]
    TooLong,
    /// It does not begin with `http://` or `https://`.
    #[error("the DSN must begin with http:// or https:// (for development: stdout: or file:///)")]
    Scheme,
    /// There is no key before the `@`.
    #[error("the DSN has no ingest key before an @")]
    Key,
    /// The host or port cannot be read.
    #[error("the DSN has no valid host[:port]")]
    Host,
    /// The path does not end in a project's number.
    #[error("the DSN must end in /<project id>, a number")]
    Project,
}

impl FromStr for Dsn {
    type Err = InvalidDsn;

    fn from_str(dsn: &str) -> Result<Self, InvalidDsn> {
        let dsn = dsn.trim();
        if dsn.is_empty() {
            return Err(InvalidDsn::Empty);
        }
        if dsn.len() > DSN_BYTES_MAX {
            return Err(InvalidDsn::TooLong);
        }
        let (tls, rest) = match (dsn.strip_prefix("https://"), dsn.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(InvalidDsn::Scheme),
        };
        let (key, rest) = rest.split_once('@').ok_or(InvalidDsn::Key)?;
        let key_is_plain = key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        if key.is_empty() || !key_is_plain {
            return Err(InvalidDsn::Key);
        }
        let (authority, path) = rest.split_once('/').ok_or(InvalidDsn::Project)?;
        if !is_authority(authority) {
            return Err(InvalidDsn::Host);
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        let (prefix, project) = path.rsplit_once('/').map_or(("", path), |(a, b)| (a, b));
        let digits = !project.is_empty() && project.bytes().all(|b| b.is_ascii_digit());
        let prefix_is_plain = prefix
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/_-.".contains(&b));
        if !digits || !prefix_is_plain {
            return Err(InvalidDsn::Project);
        }
        Ok(Self {
            tls,
            authority: authority.to_owned(),
            prefix: if prefix.is_empty() {
                String::new()
            } else {
                format!("/{prefix}")
            },
            project: project.parse().map_err(|_| InvalidDsn::Project)?,
            key: key.to_owned(),
        })
    }
}

/// Whether this is a host, an IPv4 address or a bracketed IPv6 address, with or without a port.
fn is_authority(authority: &str) -> bool {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else {
                return false;
            };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (None, port)
        }
        None => {
            let (host, port) = authority
                .find(':')
                .map_or((authority, ""), |at| authority.split_at(at));
            (Some(host), port)
        }
    };
    let host_is_good = host.is_none_or(|host| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-' || b == b'_';
        !host.is_empty() && host.bytes().all(plain)
    });
    let port_is_good = match port.strip_prefix(':') {
        Some(port) => port.parse::<u16>().is_ok_and(|port| port != 0),
        None => port.is_empty(),
    };
    host_is_good && port_is_good
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_says_where_to_post() {
        let dsn: Dsn = "http://bsi_0aZ@127.0.0.1:4100/7".parse().expect("is valid");

        assert_eq!(dsn.batches_url(), "http://127.0.0.1:4100/v1/batches");
        assert_eq!((dsn.project(), dsn.key()), (7, "bsi_0aZ"));
    }

    #[test]
    fn a_dsn_may_have_tls_a_prefix_and_an_ipv6_host() {
        let url = |dsn: &str| dsn.parse::<Dsn>().expect("is valid").batches_url();

        assert_eq!(
            url("https://k@bugs.example.com/12/"),
            "https://bugs.example.com/v1/batches"
        );
        assert_eq!(
            url("https://k@example.com/bugs/1"),
            "https://example.com/bugs/v1/batches"
        );
        assert_eq!(url("http://k@[::1]:9/1"), "http://[::1]:9/v1/batches");
    }

    #[test]
    fn a_malformed_dsn_is_refused_with_its_reason() {
        for (dsn, reason) in [
            ("", InvalidDsn::Empty),
            ("127.0.0.1:4100/1", InvalidDsn::Scheme),
            ("ftp://k@host/1", InvalidDsn::Scheme),
            ("http://host/1", InvalidDsn::Key),
            ("http://@host/1", InvalidDsn::Key),
            ("http://k:secret@host/1", InvalidDsn::Key),
            ("http://k@/1", InvalidDsn::Host),
            ("http://k@host:0/1", InvalidDsn::Host),
            ("http://k@host:70000/1", InvalidDsn::Host),
            ("http://k@[::1/1", InvalidDsn::Host),
            ("http://k@[nonsense]/1", InvalidDsn::Host),
            ("http://k@ho st/1", InvalidDsn::Host),
            ("http://k@host", InvalidDsn::Project),
            ("http://k@host/", InvalidDsn::Project),
            ("http://k@host/shop", InvalidDsn::Project),
            ("http://k@host/-1", InvalidDsn::Project),
            ("http://k@host/99999999999999999999", InvalidDsn::Project),
            ("http://k@host/a b/1", InvalidDsn::Project),
        ] {
            assert_eq!(dsn.parse::<Dsn>(), Err(reason), "{dsn}");
        }
        let long = format!("http://k@{}/1", "h".repeat(2_000));
        assert_eq!(long.parse::<Dsn>(), Err(InvalidDsn::TooLong));
    }

    #[test]
    fn the_key_is_not_in_the_debug_text() {
        let dsn: Dsn = "http://verysecret@host/1".parse().expect("is valid");

        assert_eq!(format!("{dsn:?}"), "http://***@host/1");
    }
}
