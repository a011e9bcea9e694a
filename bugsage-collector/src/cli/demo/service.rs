//! Builds a release of the example, runs it, and plays its traffic.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::history::{self, Release};

/// How long the service may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The most of an answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Requests under way at the same time.
const CLIENTS: usize = 4;

/// How the requests of a release were answered.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Answers {
    pub(super) requests: u64,
    pub(super) panics: u64,
}

/// Builds a release and tells where its binary is, out of the way of the next build.
pub(super) async fn build(
    clone: &Path,
    repository: &Path,
    release: &Release,
    workshop: &Path,
) -> anyhow::Result<PathBuf> {
    history::check_out(repository, release)?;
    // In the clone's own target folder: the dependencies are built once for all demos.
    let target = clone.join("target/demo");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--locked", "--quiet", "--package", "order-service"])
        .current_dir(repository)
        .env("CARGO_TARGET_DIR", &target)
        // What the demo's own build was told is not meant for this one.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .stdin(Stdio::null())
        .output()
        .await
        .context("cargo is missing: install Rust, the demo builds a crate")?;
    history::check_out_main(repository)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "release {} does not build:\n{}",
            release.version,
            said.trim()
        );
    }
    let binary = workshop.join(format!("order-service-{}", release.version));
    let built = target.join("debug/order-service");
    std::fs::copy(&built, &binary).with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(binary)
}

/// Runs a release against its traffic, and ends it once `arrived` says so.
pub(super) async fn run(
    clone: &Path,
    binary: &Path,
    release: &Release,
    dsn: &str,
    workshop: &Path,
    arrived: impl AsyncFnOnce(Answers) -> anyhow::Result<()>,
) -> anyhow::Result<Answers> {
    let traffic = clone.join(format!(
        "examples/order-service/traffic/v{}.txt",
        release.version
    ));
    let traffic = std::fs::read_to_string(&traffic)
        .with_context(|| format!("cannot read {}", traffic.display()))?;
    let orders = orders(&traffic)?;
    let log = std::fs::File::create(workshop.join(format!("service-{}.log", release.version)))?;
    let mut service = Command::new(binary)
        .args(["--listen", "127.0.0.1:0"])
        .env("BUGSAGE_DSN", dsn)
        .env("BUGSAGE_RELEASE", &release.name)
        .env("BUGSAGE_ENVIRONMENT", "demo")
        .env("BUGSAGE_SPOOL_DIR", workshop.join("spool"))
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .context("the service cannot be started")?;
    let mut lines = BufReader::new(service.stdout.take().context("stdout is piped")?).lines();
    let said = tokio::time::timeout(PATIENCE, lines.next_line()).await;
    let said = said
        .context("the service does not start")??
        .unwrap_or_default();
    let address = said
        .strip_prefix("listening on http://")
        .context("the service does not listen")?;
    let address = address.to_owned();

    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let mine: Vec<String> = orders
            .iter()
            .skip(client)
            .step_by(CLIENTS)
            .cloned()
            .collect();
        let address = address.clone();
        clients.push(tokio::spawn(async move { play(&address, &mine).await }));
    }
    let mut answers = Answers::default();
    for client in clients {
        let played = client.await??;
        answers.requests += played.requests;
        answers.panics += played.panics;
    }
    arrived(answers).await?;
    post(&address, "/shutdown", "").await?;
    let ended = tokio::time::timeout(PATIENCE, service.wait()).await;
    let status = ended.context("the service does not end")??;
    if !status.success() {
        bail!("the service ended with {status}");
    }
    Ok(answers)
}

/// The bodies of all requests: lines of `COUNT BODY`.
fn orders(traffic: &str) -> anyhow::Result<Vec<String>> {
    let mut orders = Vec::new();
    let lines = traffic.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (count, body) = line
            .split_once(' ')
            .context("a line of traffic is COUNT BODY")?;
        let count = count
            .parse()
            .context("a line of traffic begins with a number")?;
        orders.extend(std::iter::repeat_n(body.to_owned(), count));
    }
    Ok(orders)
}

async fn play(address: &str, orders: &[String]) -> anyhow::Result<Answers> {
    let mut answers = Answers::default();
    for order in orders {
        let status = post(address, "/orders", order).await?;
        answers.requests += 1;
        answers.panics += u64::from(status == 500);
    }
    Ok(answers)
}

/// Posts a form and tells the status.
async fn post(address: &str, path: &str, body: &str) -> anyhow::Result<u16> {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream
            .take(ANSWER_BYTES_MAX)
            .read_to_end(&mut answer)
            .await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(REQUEST_TIMEOUT, exchange).await;
    let answer = answer.context("the service does not answer")??;
    let status = answer.split(|byte| *byte == b' ').nth(1);
    let status = status.and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    status.context("the service answers no HTTP")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_traffic_is_played_as_often_as_it_says() {
        let orders = orders("# comment\n\n2 a=b&c=d\n1 e=f\n").expect("is traffic");

        assert_eq!(orders, ["a=b&c=d", "a=b&c=d", "e=f"]);
        assert!(super::orders("many a=b").is_err());
    }
}
