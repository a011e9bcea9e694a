//! Two services: `shop` asks `bank` while it answers, and both find themselves in one trace.
//!
//! ```sh
//! export BUGSAGE_DSN=stdout:
//! cargo run -p example-axum -- bank 127.0.0.1:4201 &
//! cargo run -p example-axum -- shop 127.0.0.1:4200 127.0.0.1:4201 &
//! curl http://127.0.0.1:4200/orders/7  # a trace through both
//! curl http://127.0.0.1:4200/orders/0  # a panic in its request
//! ```

use std::env;
use std::net::SocketAddr;

use anyhow::{bail, ensure};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, StatusCode, header};
use axum::routing::get;
use bugsage_sdk::ReportError as _;
use bugsage_sdk::http::HttpLayer;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The longest answer of the bank that is read.
const RECEIPT_BYTES_MAX: usize = 16 << 10;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (address, app) = match words[..] {
        ["bank", address] => (address, bank()),
        ["shop", address, bank] => (address, shop(bank.parse()?)),
        _ => bail!("usage: example-axum bank ADDRESS | example-axum shop ADDRESS BANK"),
    };
    let _guard = bugsage_sdk::builder()
        .release(bugsage_sdk::release!())
        // All of them, since this is an example. A service takes a share: 0.1.
        .traces_sample_rate(1.0)
        .init();
    tracing_subscriber::registry()
        .with(bugsage_sdk::layer())
        .init();

    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // The guard delivers what is left once the last request is done.
    let mut stop = signal(SignalKind::terminate())?;
    let stopped = async move {
        stop.recv().await;
    };
    // Each request is a span; it goes on with the caller's trace.
    let app = app.layer(HttpLayer::new());
    axum::serve(listener, app)
        .with_graceful_shutdown(stopped)
        .await?;
    Ok(())
}

fn shop(bank: SocketAddr) -> Router {
    let order = |State(bank), Path(number)| order(bank, number);
    Router::new()
        .route("/orders/{number}", get(order))
        .with_state(bank)
}

async fn order(bank: SocketAddr, number: u32) -> Result<String, StatusCode> {
    tracing::info!("order {number} is asked for");
    assert_ne!(number, 0, "orders are counted from 1");
    // The caller is told that it failed, BugSage is told why.
    let receipt = charge(bank, number).await.report();
    receipt.map_err(|_| StatusCode::BAD_GATEWAY)
}

/// Asks the bank, which goes on with this trace.
#[tracing::instrument(fields(otel.kind = "client"))]
async fn charge(bank: SocketAddr, order: u32) -> anyhow::Result<String> {
    let stream = TcpStream::connect(bank).await?;
    let (mut client, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::get(format!("/charges/{order}"))
        .header(header::HOST, bank.to_string())
        .body(Body::empty())?;
    // With reqwest: `client.get(url).headers(bugsage_sdk::http::trace_headers())`.
    bugsage_sdk::http::inject(request.headers_mut());
    let response = client.send_request(request).await?;
    let status = response.status();
    ensure!(status.is_success(), "the bank says {status}");
    let body = Body::new(response.into_body());
    let body = axum::body::to_bytes(body, RECEIPT_BYTES_MAX).await?;
    Ok(String::from_utf8(body.into())?)
}

fn bank() -> Router {
    Router::new().route("/charges/{order}", get(receipt))
}

async fn receipt(Path(order): Path<u32>) -> Result<String, StatusCode> {
    if order > 1_000 {
        // An event with its request, and an answer that makes the span a failed one.
        tracing::error!("order {order} is not known to the bank");
        return Err(StatusCode::INTERNAL_SERVER_ERROR);
    }
    Ok(format!("order {order} is paid"))
}
