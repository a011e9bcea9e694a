//! A proxy that passes on the bytes of connections, as `CONNECT` asks it to.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// What it was asked, line by line, in lowercase.
type Asked = Vec<Vec<String>>;

/// A proxy in the test's process. Dropped, it closes all connections and ends its threads.
pub(crate) struct Tunnels {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    /// The status line of its answers.
    answer: &'static str,
    asked: Mutex<Asked>,
    streams: Mutex<Vec<TcpStream>>,
    is_over: AtomicBool,
}

impl Tunnels {
    /// Passes everything on.
    pub(crate) fn open() -> Self {
        Self::answering("200 Connection established")
    }

    /// Says this to everybody.
    pub(crate) fn answering(answer: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("is bound");
        let shared = Arc::new(Shared {
            answer,
            asked: Mutex::default(),
            streams: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let accepting = thread::spawn({
            let shared = shared.clone();
            move || shared.accept(&listener)
        });
        Self {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The lines of each request.
    pub(crate) fn asked(&self) -> Asked {
        let asked = self.shared.asked.lock();
        asked.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Tunnels {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        let streams = self.shared.streams.lock();
        for stream in streams.unwrap_or_else(PoisonError::into_inner).drain(..) {
            // Closed already where both ends are done.
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(accepting) = self.accepting.take() {
            let ended = accepting.join();
            assert!(ended.is_ok() || thread::panicking(), "the proxy panicked");
        }
    }
}

impl Shared {
    fn accept(&self, listener: &TcpListener) {
        thread::scope(|scope| {
            while let Ok((client, _)) = listener.accept() {
                if self.is_over.load(Ordering::Acquire) {
                    return;
                }
                // Whoever goes away in between ends its own connection.
                scope.spawn(move || self.serve(client));
            }
        });
    }

    fn serve(&self, client: TcpStream) -> io::Result<()> {
        self.keep(&client)?;
        let mut lines = BufReader::new(client.try_clone()?).lines();
        let mut asked: Vec<String> = Vec::new();
        while let Some(line) = lines.next().transpose()?
            && !line.is_empty()
        {
            asked.push(line.to_ascii_lowercase());
        }
        let target = asked.first().and_then(|line| line.split(' ').nth(1));
        let target = target
            .map(str::to_owned)
            .ok_or(io::ErrorKind::InvalidData)?;
        let all = self.asked.lock();
        all.unwrap_or_else(PoisonError::into_inner).push(asked);
        write!(&client, "HTTP/1.1 {}\r\n\r\n", self.answer)?;
        if !self.answer.starts_with("200") {
            return client.shutdown(Shutdown::Both);
        }
        let server = TcpStream::connect(target)?;
        self.keep(&server)?;
        thread::scope(|scope| {
            scope.spawn(|| pass_on(&client, &server));
            pass_on(&server, &client)
        })
    }

    fn keep(&self, stream: &TcpStream) -> io::Result<()> {
        let streams = self.streams.lock();
        let mut streams = streams.unwrap_or_else(PoisonError::into_inner);
        streams.push(stream.try_clone()?);
        Ok(())
    }
}

fn pass_on(mut from: &TcpStream, mut to: &TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)
}
