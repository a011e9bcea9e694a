//! A server that takes what any of the SDKs sends, and counts it.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bugsage_core::batch;

/// How it behaves.
#[derive(Clone, Copy)]
pub(crate) enum Manner {
    /// Answers after so long.
    Answers(Duration),
    /// Nobody listens.
    Refuses,
    /// Takes what is sent and never answers.
    Silent,
    /// Answers a byte a second.
    Drips,
}

/// What came.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) bytes: u64,
    pub(crate) reports: u64,
    batches: HashSet<bugsage_core::id::BatchId>,
}

pub(crate) struct Server {
    address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
}

impl Server {
    pub(crate) fn start(manner: Manner) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Self {
            address: listener.local_addr()?,
            taken: Arc::default(),
        };
        if matches!(manner, Manner::Refuses) {
            return Ok(server);
        }
        let taken = server.taken.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taken = taken.clone();
                // A client that goes away is no fault of the server.
                std::thread::spawn(move || drop(serve(&stream, manner, &taken)));
            }
        });
        Ok(server)
    }

    pub(crate) fn dsn(&self) -> String {
        format!("http://key@{}/1", self.address)
    }

    pub(crate) fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(stream: &TcpStream, manner: Manner, taken: &Mutex<Taken>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            is_chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
            if line == "\r\n" {
                break;
            }
        }
        let body = if is_chunked {
            chunks(&mut reader)?
        } else {
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            body
        };
        match manner {
            Manner::Silent => continue,
            Manner::Answers(after) => std::thread::sleep(after),
            Manner::Drips | Manner::Refuses => {}
        }
        note(&body, taken);
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        for piece in answer
            .as_bytes()
            .chunks(if matches!(manner, Manner::Drips) {
                1
            } else {
                64
            })
        {
            writer.write_all(piece)?;
            if matches!(manner, Manner::Drips) {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

fn chunks(reader: &mut impl BufRead) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16)?;
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk)?;
        if length == 0 {
            return Ok(body);
        }
        body.extend_from_slice(&chunk[..length]);
    }
}

/// Counts a body: a batch of BugSage's, or an envelope of sentry's, of which the ones that hold an
/// event count.
fn note(body: &[u8], taken: &Mutex<Taken>) {
    let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    if let Ok(batch) = batch::decode(body) {
        if taken.batches.insert(batch.id) {
            let reports: u64 = batch.events.iter().map(|(_, event)| event.count).sum();
            taken.reports += reports;
            taken.bytes += if reports > 0 { body.len() as u64 } else { 0 };
        }
    } else if String::from_utf8_lossy(body).contains("\"type\":\"event\"") {
        taken.reports += 1;
        taken.bytes += body.len() as u64;
    }
}
