//! A plain HTTP/1.1 client that sends whatever it is given, and load made of many of them.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bugsage_core::batch::Sealed;
use serde_json::Value;

use super::PATIENCE;
use super::events::{self, EventBuilder, mixed};

/// The longest answer that is read. Pages promise to be shorter.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A request in the making.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    line: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn get(path: &str) -> Self {
        Self {
            line: format!("GET {path} HTTP/1.1"),
            headers: BTreeMap::new(),
            body: Vec::new(),
        }
    }

    /// A form of a page of the collector's, as a browser sends it.
    pub(crate) fn form(path: &str, fields: &str) -> Self {
        Self {
            line: format!("POST {path} HTTP/1.1"),
            ..Self::get(path)
        }
        .with_body(fields.as_bytes())
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
    }

    /// A batch as the SDK sends it.
    pub(crate) fn batch(key: &str, body: &[u8]) -> Self {
        let headers = [
            ("authorization", format!("Bearer {key}")),
            ("content-type", "application/octet-stream".to_owned()),
            ("content-length", body.len().to_string()),
        ];
        Self {
            line: "POST /v1/batches HTTP/1.1".to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            body: body.to_vec(),
        }
    }

    /// The same with another body.
    pub(crate) fn with_body(&self, body: &[u8]) -> Self {
        let length = body.len().to_string();
        let mut request = self.clone().header("content-length", &length);
        request.body = body.to_vec();
        request
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// Announces a body and sends none of it.
    pub(crate) fn head_alone(mut self) -> Self {
        self.body.clear();
        self
    }

    /// Sends the body in chunks, so that its length is not known before.
    pub(crate) fn chunked(self) -> Self {
        let mut request = self.without("content-length");
        let mut body = Vec::new();
        for chunk in request.body.chunks(16 << 10) {
            body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        request.body = body;
        request.header("transfer-encoding", "chunked")
    }

    /// The bytes of the request, and where its body begins.
    pub(crate) fn to_bytes(&self, address: SocketAddr) -> (Vec<u8>, usize) {
        let mut head = format!("{}\r\n", self.line);
        if !self.headers.contains_key("host") {
            head.push_str(&format!("host: {address}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let body_at = head.len();
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        (bytes, body_at)
    }
}

/// What the collector said.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that the batch was taken, and tells how many events were new and how many known.
    #[track_caller]
    pub(crate) fn taken(&self) -> (u64, u64) {
        assert_eq!(self.status, 200, "{self:?}");
        let answer = self.json();
        let number = |name: &str| answer[name].as_u64().expect("is a number");
        (number("accepted"), number("duplicate"))
    }

    /// Checks that it is an error in the one form that errors have, and tells it.
    #[track_caller]
    pub(crate) fn error(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        let error = self.json()["error"].clone();
        assert_eq!(error["code"], code, "{self:?}");
        let message = error["message"].as_str().expect("a sentence says why");
        assert!(!message.is_empty());
        for bound in ["limit", "value"] {
            assert!(error[bound].is_null() || error[bound].is_u64(), "{error}");
        }
        error
    }
}

/// One client with a connection that it keeps.
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask(&Request::get(path))
    }

    #[track_caller]
    pub(crate) fn send(&mut self, key: &str, body: &[u8]) -> Answer {
        self.ask(&Request::batch(key, body))
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Request) -> Answer {
        match self.try_ask(request) {
            Ok(answer) => answer,
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// Sends a request, on the connection of the last one where that still stands.
    pub(crate) fn try_ask(&mut self, request: &Request) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(self.connect()?),
        };
        let (bytes, _) = request.to_bytes(self.address);
        // A server that has refused the head may close before it has read the body.
        let written = stream.get_mut().write_all(&bytes);
        let answer = match read_answer(&mut stream) {
            Ok(answer) => answer,
            Err(error) => return Err(written.err().unwrap_or(error)),
        };
        let closes = answer.header("connection").is_some_and(|it| it == "close");
        if written.is_ok() && !closes {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    /// A connection whose reads and writes end some time.
    pub(crate) fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Reads the next answer of a connection.
pub(crate) fn read_answer(from: &mut impl BufRead) -> io::Result<Answer> {
    let broken = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let mut line = String::new();
    from.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|it| it.parse().ok());
    let status = status.ok_or_else(broken)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let line = line.strip_suffix("\r\n").ok_or_else(broken)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|it| it.parse().ok());
    let length: usize = length.unwrap_or(0);
    assert!(length <= ANSWER_BYTES_MAX, "{length} bytes come");
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    let body = String::from_utf8(body).map_err(|_| broken())?;
    Ok(Answer {
        status,
        headers,
        body,
    })
}

/// What became of the batches of a load, as its senders know it.
#[derive(Default)]
pub(crate) struct Record {
    /// Reports that got a 2xx, by the name of their bug.
    pub(crate) acknowledged: BTreeMap<String, u64>,
    /// Events that got a 2xx.
    pub(crate) events: u64,
    /// Batches that were sent, in part or whole, and never answered.
    pub(crate) unknown: Vec<Loaded>,
}

impl Record {
    fn acknowledge(&mut self, loaded: &Loaded, answer: &Answer) {
        let (accepted, duplicate) = answer.taken();
        assert_eq!(accepted + duplicate, loaded.reports.len() as u64);
        for (bug, reports) in &loaded.reports {
            *self.acknowledged.entry(bug.clone()).or_default() += reports;
        }
        self.events += loaded.reports.len() as u64;
    }

    /// Sends again what nobody knows about.
    #[track_caller]
    pub(crate) fn resend(&mut self, client: &mut Client, key: &str) {
        for loaded in std::mem::take(&mut self.unknown) {
            let answer = client.send(key, &loaded.sealed.bytes);
            self.acknowledge(&loaded, &answer);
        }
    }
}

/// A batch with the reports in it: a bug and a number for each event.
pub(crate) struct Loaded {
    sealed: Sealed,
    reports: Vec<(String, u64)>,
}

/// Batches without end, each one different: one to four events of five bugs, some folded.
struct Batches {
    seed: u64,
}

impl Batches {
    fn next(&mut self) -> Loaded {
        let mut random = |bound: u64| {
            self.seed = self.seed.wrapping_add(1);
            mixed(self.seed) % bound
        };
        let n_events = 1 + random(4);
        let mut reports = Vec::new();
        let mut all = Vec::new();
        for _ in 0..n_events {
            let bug = format!("bug{}", random(5));
            let count = if random(2) == 0 { 1 } else { 1 + random(1_000) };
            all.push(EventBuilder::panic(&bug).count(count).build());
            reports.push((bug, count));
        }
        Loaded {
            sealed: events::seal(all),
            reports,
        }
    }
}

/// Sends batches from so many connections until the collector is gone or `is_over`, each
/// connection at most `batches_max`.
pub(crate) fn load(
    address: SocketAddr,
    key: &str,
    connections: u64,
    batches_max: usize,
    seed: u64,
    is_over: &AtomicBool,
    record: &Mutex<Record>,
) {
    std::thread::scope(|scope| {
        for connection in 0..connections {
            let seed = mixed(seed ^ (connection << 32));
            scope.spawn(move || {
                let mut client = Client::new(address);
                let mut batches = Batches { seed };
                for _ in 0..batches_max {
                    if is_over.load(Ordering::Acquire) {
                        return;
                    }
                    let loaded = batches.next();
                    let answer = client.try_ask(&Request::batch(key, &loaded.sealed.bytes));
                    let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
                    match answer {
                        Ok(answer) => record.acknowledge(&loaded, &answer),
                        // The collector may have written it, and died before it could say so.
                        Err(_) => {
                            record.unknown.push(loaded);
                            return;
                        }
                    }
                }
            });
        }
    });
}

/// Reads a stream to its end and tells whether the other side has closed it.
pub(crate) fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    match stream.take(ANSWER_BYTES_MAX as u64).read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}
