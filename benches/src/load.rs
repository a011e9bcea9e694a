//! A collector of its own in another process, and bodies thrown at it over kept connections.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

/// A collector on a free port with a data folder of its own.
pub struct Collector {
    child: Child,
    binary: PathBuf,
    address: String,
    folder: PathBuf,
    key: String,
}

/// The release build of `bugsage` that lies beside this bench, built first.
pub fn bugsage() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--package",
            "bugsage-collector",
        ])
        .status()?;
    if !built.success() {
        bail!("bugsage does not build");
    }
    Ok(std::env::current_exe()?.with_file_name("bugsage"))
}

impl Collector {
    /// Starts the release build of `bugsage`.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// Starts it with something set in its environment.
    pub fn start_with(environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let binary = bugsage()?;
        let folder = std::env::temp_dir().join(format!("bugsage-bench-{}", std::process::id()));
        std::fs::create_dir(&folder)?;
        let (child, address) = serve(&binary, &folder, environment)?;
        let mut collector = Self {
            child,
            binary,
            address,
            folder,
            key: String::new(),
        };
        let project = collector.ask(&["project", "create", "bench"])?;
        collector.key = project["ingest_key"]
            .as_str()
            .context("a project has a key")?
            .to_owned();
        Ok(collector)
    }

    /// Stops it, starts it again, and tells how long it takes until it listens.
    pub fn restart(&mut self) -> anyhow::Result<Duration> {
        self.end()?;
        let begun = Instant::now();
        (self.child, self.address) = serve(&self.binary, &self.folder, &[])?;
        Ok(begun.elapsed())
    }

    /// Makes a further project and tells its ingest key.
    pub fn further_project(&self, name: &str) -> anyhow::Result<String> {
        let project = self.ask(&["project", "create", name])?;
        let key = project["ingest_key"].as_str();
        Ok(key.context("a project has a key")?.to_owned())
    }

    /// Asks for a page.
    pub fn page(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(&self.address)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
            self.address
        )?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        Ok(page)
    }

    /// Asks the command line for a document.
    pub fn ask(&self, words: &[&str]) -> anyhow::Result<Value> {
        let output = Command::new(&self.binary)
            .args(words)
            .arg("--json")
            .arg("--data")
            .arg(&self.folder)
            .output()?;
        if !output.status.success() {
            bail!("{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Reports in all issues together, as the command line counts them.
    pub fn counted(&self) -> anyhow::Result<u64> {
        let issues = self.ask(&["issues", "list", "--limit", "10000"])?;
        let issues = issues.as_array().context("issues are a list")?;
        Ok(issues
            .iter()
            .filter_map(|issue| issue["events"].as_u64())
            .sum())
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of the data folder.
    pub fn disk_bytes(&self) -> u64 {
        let files = std::fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten();
        files
            .filter_map(|file| file.metadata().ok())
            .map(|metadata| metadata.len())
            .sum()
    }

    /// A connection for sending.
    pub fn connect(&self) -> anyhow::Result<Connection> {
        self.connect_as(&self.key)
    }

    /// A connection for sending with a key.
    pub fn connect_as(&self, key: &str) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let head = format!(
            "POST /v1/batches HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
             content-type: application/octet-stream\r\ncontent-length: ",
            self.address, key
        );
        Ok(Connection {
            reader: BufReader::new(stream),
            head,
        })
    }

    /// Ends the collector as an operator would.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.end()
    }

    fn end(&mut self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait()?.is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Where the data is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn serve(
    binary: &Path,
    folder: &Path,
    environment: &[(&str, &str)],
) -> anyhow::Result<(Child, String)> {
    let mut child = Command::new(binary)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder)
        .env("BUGSAGE_LOG", "warn")
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("stdout is piped")?).read_line(&mut line)?;
    let address = line.trim().strip_prefix("listening on http://");
    let address = address.context("the collector does not listen")?.to_owned();
    Ok((child, address))
}

impl Drop for Collector {
    fn drop(&mut self) {
        // Both may have gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// One kept connection.
pub struct Connection {
    reader: BufReader<TcpStream>,
    head: String,
}

impl Connection {
    /// Sends a body and tells the status.
    pub fn post(&mut self, body: &[u8]) -> anyhow::Result<u16> {
        let mut request = Vec::with_capacity(self.head.len() + body.len() + 16);
        write!(request, "{}{}\r\n\r\n", self.head, body.len())?;
        request.extend_from_slice(body);
        self.reader.get_mut().write_all(&request)?;
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.context("the collector answers no HTTP")?;
        let mut length = 0;
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        std::io::copy(&mut (&mut self.reader).take(length), &mut std::io::sink())?;
        Ok(status)
    }
}
