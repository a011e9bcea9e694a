//! The command line.

use std::net::{Ipv4Addr, SocketAddr};

/// How the service is started.
pub const USAGE: &str = "usage: order-service [--listen ADDRESS:PORT]";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Args {
    /// Where to listen, by default on a free port of the loopback interface.
    pub listen: SocketAddr,
}

impl Args {
    /// Reads the arguments after the program's name.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--listen" => {
                    let address = args.next().ok_or("--listen wants an address")?;
                    listen = address
                        .parse()
                        .map_err(|error| format!("--listen {address}: {error}"))?;
                }
                _ => return Err(format!("unknown argument `{arg}`")),
            }
        }
        Ok(Self { listen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_is_the_default() {
        assert_eq!(parse("").unwrap().listen.to_string(), "127.0.0.1:0");
    }

    #[test]
    fn the_address_can_be_chosen() {
        let args = parse("--listen 127.0.0.1:8080").unwrap();

        assert_eq!(args.listen.port(), 8080);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in ["--listen", "--listen here", "--fast"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }
}
