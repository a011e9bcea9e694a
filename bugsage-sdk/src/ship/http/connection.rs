//! One connection, over which requests go one after the other.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
#[cfg(feature = "http2")]
use hyper::client::conn::http2;
use hyper::{Request, Response};
#[cfg(feature = "http2")]
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;

use super::dial::Stream;

/// A connection to somebody who speaks HTTP.
pub(super) enum Connection {
    /// One request at a time.
    Http1(http1::SendRequest<Outgoing>),
    /// Also one at a time, as there is never more than one batch on its way.
    #[cfg(feature = "http2")]
    Http2(http2::SendRequest<Outgoing>),
}

/// Why a request has no answer.
pub(super) enum Unanswered {
    /// The connection was closed before anything of it was written.
    Unsent,
    /// It may have been read.
    Broken,
}

impl Connection {
    /// `None` where it is closed already.
    pub(super) async fn http1(stream: Box<dyn Stream>) -> Option<Self> {
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        drive(driver.with_upgrades());
        Some(Self::Http1(sender))
    }

    /// `None` where it is closed already.
    #[cfg(feature = "http2")]
    pub(super) async fn http2(stream: Box<dyn Stream>) -> Option<Self> {
        let stream = TokioIo::new(stream);
        let (sender, driver) = http2::handshake(TokioExecutor::new(), stream).await.ok()?;
        drive(driver);
        Some(Self::Http2(sender))
    }

    /// Whether the line of a request has a path alone; the host is in a header then.
    pub(super) fn is_http1(&self) -> bool {
        matches!(self, Self::Http1(_))
    }

    /// Whether the last request is through and the connection still there.
    pub(super) async fn is_ready(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            #[cfg(feature = "http2")]
            Self::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let sent = match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            #[cfg(feature = "http2")]
            Self::Http2(sender) => sender.try_send_request(request).await,
        };
        sent.map_err(|mut error| match error.take_message() {
            Some(_) => Unanswered::Unsent,
            None => Unanswered::Broken,
        })
    }
}

/// Reads and writes for a connection, until it ends or nobody can send over it any more.
fn drive<E>(driver: impl Future<Output = Result<(), E>> + Send + 'static) {
    tokio::spawn(async move {
        // How it ended is told by the request that it costs.
        let _ = driver.await;
    });
}

/// The body of a request.
pub(super) struct Outgoing(pub(super) Option<Bytes>);

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
