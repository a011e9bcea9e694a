//! Posts to a collector, and keeps the connection from one post to the next.

use std::cell::Cell;
use std::time::{Duration, Instant};

use hyper::body::{Bytes, Incoming};
use hyper::header::{HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;

use super::connection::{Connection, Outgoing, Unanswered};
use super::dial::{self, Stream};
use super::route::{Host, Proxy, Route};
use super::tls::{Tls, secure};

/// How long a connection may take to be made, with all that it goes through.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection is kept that nobody uses. What lies between may forget it without a word,
/// mostly after minutes; a request that is lost so costs the time of a whole exchange.
const IDLE_MAX: Duration = Duration::from_secs(90);

/// Why a post has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection could be made.
    Unreachable,
    /// The proxy that the environment names speaks SOCKS.
    SocksProxy,
    /// The proxy wants a user and a password, or others.
    ProxyRefused,
    /// The connection ended too early.
    Broken,
}

/// Speaks with one collector.
pub(super) struct Client {
    route: Route,
    tls: Tls,
    headers: HeaderMap,
    /// The connection of the last post, and since when nobody uses it.
    kept: Cell<Option<(Connection, Instant)>>,
}

impl Client {
    /// Sends `headers` with each post.
    pub(super) fn new(route: Route, tls: Tls, mut headers: HeaderMap) -> Self {
        if let (Proxy::Http(_, Some(authorization)), true) = (&route.proxy, route.is_forwarded()) {
            headers.insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        Self {
            route,
            tls,
            headers,
            kept: Cell::new(None),
        }
    }

    /// Sends a body. A redirect is an answer like any other.
    pub(super) async fn post(
        &self,
        body: &Bytes,
    ) -> Result<(Response<Incoming>, Connection), Failure> {
        if let Some((mut connection, since)) = self.kept.take()
            && since.elapsed() < IDLE_MAX
            && connection.is_ready().await
        {
            match connection.send(self.request(&connection, body)).await {
                Ok(answer) => return Ok((answer, connection)),
                Err(Unanswered::Broken) => return Err(Failure::Broken),
                // The collector has just closed it.
                Err(Unanswered::Unsent) => {}
            }
        }
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, self.connect());
        let mut connection = connected.await.unwrap_or(Err(Failure::Unreachable))?;
        match connection.send(self.request(&connection, body)).await {
            Ok(answer) => Ok((answer, connection)),
            Err(_) => Err(Failure::Broken),
        }
    }

    /// Keeps a connection for the next post, now that the last answer was read from it.
    pub(super) fn keep(&self, connection: Connection) {
        self.kept.set(Some((connection, Instant::now())));
    }

    fn request(&self, connection: &Connection, body: &Bytes) -> Request<Outgoing> {
        let mut request = Request::new(Outgoing(Some(body.clone())));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = self.headers.clone();
        *request.uri_mut() = self.route.url.clone();
        if connection.is_http1() {
            *request.uri_mut() = self.route.target();
            let host = self.route.host_header().map(|host| (HOST, host));
            request.headers_mut().extend(host);
        }
        request
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let collector = &self.route.collector;
        let stream = self.reach().await?;
        if !collector.has_tls {
            return Connection::http1(stream).await.ok_or(Failure::Broken);
        }
        let stream = secure(&self.tls.to_collector, &collector.name, stream).await;
        let stream = stream.ok_or(Failure::Unreachable)?;
        #[cfg(feature = "http2")]
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            let connection = Connection::http2(Box::new(stream)).await;
            return connection.ok_or(Failure::Broken);
        }
        let connection = Connection::http1(Box::new(stream)).await;
        connection.ok_or(Failure::Broken)
    }

    /// A connection that ends at the collector, or at a proxy that forwards requests to it.
    async fn reach(&self) -> Result<Box<dyn Stream>, Failure> {
        let (proxy, authorization) = match &self.route.proxy {
            Proxy::None => return dial(&self.route.collector).await,
            Proxy::Socks => return Err(Failure::SocksProxy),
            Proxy::Http(proxy, authorization) => (proxy, authorization),
        };
        let mut stream = dial(proxy).await?;
        if proxy.has_tls {
            let secured = secure(&self.tls.to_proxy, &proxy.name, stream).await;
            stream = Box::new(secured.ok_or(Failure::Unreachable)?);
        }
        if self.route.is_forwarded() {
            return Ok(stream);
        }
        self.tunnel(stream, authorization.as_ref()).await
    }

    /// Asks a proxy to pass bytes on to the collector, and the answers back.
    async fn tunnel(
        &self,
        proxy: Box<dyn Stream>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Box<dyn Stream>, Failure> {
        let to = &*self.route.collector.authority;
        let (Ok(authority), Ok(host)) = (to.parse::<Authority>(), HeaderValue::from_str(to)) else {
            return Err(Failure::Unreachable);
        };
        let mut request = Request::new(Outgoing(None));
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = Uri::from(authority);
        let optional = [
            (USER_AGENT, self.headers.get(USER_AGENT)),
            (PROXY_AUTHORIZATION, authorization),
        ];
        let optional = optional.into_iter();
        let optional = optional.filter_map(|(name, value)| Some((name, value?.clone())));
        request.headers_mut().insert(HOST, host);
        request.headers_mut().extend(optional);
        let connection = Connection::http1(proxy).await;
        let mut connection = connection.ok_or(Failure::Unreachable)?;
        let answer = connection.send(request).await;
        let answer = answer.map_err(|_| Failure::Unreachable)?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => return Err(Failure::ProxyRefused),
            _ => return Err(Failure::Unreachable),
        }
        let stream = hyper::upgrade::on(answer).await;
        let stream = stream.map_err(|_| Failure::Unreachable)?;
        Ok(Box::new(TokioIo::new(stream)))
    }
}

async fn dial(host: &Host) -> Result<Box<dyn Stream>, Failure> {
    match dial::connect(&host.name, host.port).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(_) => Err(Failure::Unreachable),
    }
}
