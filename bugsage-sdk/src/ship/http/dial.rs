//! Connections to a host by its name.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// How long an address may take before the next one is tried beside it, as RFC 8305 proposes: where
/// packets of IPv6 get lost, nobody waits for that to show.
const HEAD_START: Duration = Duration::from_millis(250);

/// A connection, whatever it goes through.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to the first address of a host that answers.
pub(super) async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = tokio::net::lookup_host((host, port)).await?;
    let stream = first(addresses, TcpStream::connect).await?;
    // Requests are written as a whole: there is nothing to wait for and gather.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The first connection that is made. An address is tried when all before it have failed, or the last
/// of them had its head start.
async fn first<C, F, T>(
    mut addresses: impl Iterator<Item = SocketAddr>,
    connect: C,
) -> io::Result<T>
where
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<T>>,
{
    let mut attempts: Vec<Pin<Box<F>>> = Vec::new();
    let mut result = Err(io::Error::from(io::ErrorKind::NotFound));
    let mut head_start = pin!(sleep(HEAD_START));
    let made_or_given_up = poll_fn(|cx| {
        loop {
            attempts.retain_mut(|attempt| {
                let Poll::Ready(ended) = attempt.as_mut().poll(cx) else {
                    return true;
                };
                if result.is_err() {
                    result = ended;
                }
                false
            });
            if result.is_ok() {
                return Poll::Ready(());
            }
            if !attempts.is_empty() && head_start.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            match addresses.next() {
                Some(address) => attempts.push(Box::pin(connect(address))),
                None if attempts.is_empty() => return Poll::Ready(()),
                None => return Poll::Pending,
            }
            head_start.as_mut().reset(Instant::now() + HEAD_START);
        }
    });
    made_or_given_up.await;
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of connections to three ports: the first hangs, the second refuses, the third
    /// answers.
    async fn attempt(address: SocketAddr) -> io::Result<u16> {
        match address.port() {
            1 => std::future::pending().await,
            2 => Err(io::ErrorKind::ConnectionRefused.into()),
            port => Ok(port),
        }
    }

    fn first_of(ports: &[u16]) -> (io::Result<u16>, Duration) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime can be made");
        let addresses = ports.iter().map(|port| SocketAddr::from(([0; 4], *port)));
        let began = std::time::Instant::now();
        let result = runtime.block_on(first(addresses, attempt));
        (result, began.elapsed())
    }

    #[test]
    fn an_address_that_swallows_packets_costs_its_head_start() {
        let (result, took) = first_of(&[1, 2, 3]);

        assert_eq!(result.ok(), Some(3));
        assert!(took >= HEAD_START, "{took:?}");
    }

    #[test]
    fn an_address_that_refuses_costs_nothing() {
        let (result, took) = first_of(&[2, 2, 3]);

        assert_eq!(result.ok(), Some(3));
        assert!(took < HEAD_START, "{took:?}");
    }

    #[test]
    fn without_an_address_that_answers_the_last_refusal_is_told() {
        let kind = |ports| first_of(ports).0.map_err(|error| error.kind());

        assert_eq!(kind(&[2]), Err(io::ErrorKind::ConnectionRefused));
        assert_eq!(kind(&[]), Err(io::ErrorKind::NotFound));
    }
}
