//! Servers that a subject reports to, in all the ways that a server can behave.

use std::collections::{BTreeSet, VecDeque};
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bugsage_core::batch::{self, Batch, HEADER_BYTES};
use bugsage_core::event::{Event, Losses, RunState};
use bugsage_core::span::Span;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::http::{Answer, Request};

/// The ingest key in every DSN here.
pub(crate) const KEY: &str = "bsi_test";

/// Connections that are served at once; an SDK needs one.
const CONNECTIONS_MAX: usize = 16;

/// How a server behaves.
enum Manner {
    /// Gives the planned answers, and takes everything once they are through.
    Answers,
    /// Reads requests and never answers.
    Silent,
    /// Answers a byte a second.
    Drips,
    /// Accepts connections and never reads from them.
    Deaf,
}

/// What a server says to one batch.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// Acknowledges it.
    Taken,
    /// Acknowledges it, and turns its first event away.
    TakenButTheFirst,
    /// Acknowledges it, and names kinds that are not wanted for some seconds.
    TakenUnwanting(&'static str),
    /// Answers with a status.
    Status(u16),
    /// Answers with a status and ends the connection.
    StatusAndClose(u16),
    /// Answers with a status and asks for a pause in seconds.
    StatusAndPause(u16, u64),
}

/// A batch as it came, and the status that it was given.
pub(crate) struct Received {
    pub(crate) request: Request,
    pub(crate) status: Option<u16>,
    pub(crate) at: Instant,
}

impl Received {
    #[track_caller]
    pub(crate) fn batch(&self) -> Batch {
        batch::decode(&self.request.body).expect("the SDK sends whole batches")
    }

    fn is_taken(&self) -> bool {
        self.status == Some(200)
    }
}

/// A server in the test's process. Dropped, it closes all connections and ends its threads.
pub(crate) struct Sink {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
    /// What keeps a black hole black.
    _sockets: Vec<socket2::Socket>,
}

impl Sink {
    /// Takes everything.
    pub(crate) fn open() -> Self {
        Self::replying([])
    }

    /// Gives these answers one after the other, and takes everything from then on.
    pub(crate) fn replying(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::start(Manner::Answers, replies.into_iter().collect(), None)
    }

    /// Takes everything, over TLS.
    #[cfg(feature = "aws-lc")]
    pub(crate) fn with_tls(config: ServerConfig) -> Self {
        Self::start(Manner::Answers, VecDeque::new(), Some(Arc::new(config)))
    }

    /// Reads requests and never answers.
    pub(crate) fn silent() -> Self {
        Self::start(Manner::Silent, VecDeque::new(), None)
    }

    /// Answers a byte a second.
    pub(crate) fn dripping() -> Self {
        Self::start(Manner::Drips, VecDeque::new(), None)
    }

    /// Accepts connections and never reads from them.
    pub(crate) fn deaf() -> Self {
        Self::start(Manner::Deaf, VecDeque::new(), None)
    }

    /// Swallows the packets of whoever wants to connect: its short line of waiting connections is
    /// full, and nobody takes one out.
    pub(crate) fn black_hole() -> Self {
        let listener = socket2::Socket::new(
            socket2::Domain::IPV4,
            socket2::Type::STREAM,
            Some(socket2::Protocol::TCP),
        )
        .expect("a socket can be made");
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        listener.bind(&any_port.into()).expect("a port is free");
        listener.listen(0).expect("the socket can listen");
        let address = listener.local_addr().expect("is bound");
        let mut sockets = vec![listener];
        let is_full = |sockets: &mut Vec<socket2::Socket>| {
            let waiting = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
                .expect("a socket can be made");
            let connected = waiting.connect_timeout(&address, Duration::from_millis(300));
            sockets.push(waiting);
            connected.is_err()
        };
        assert!((0..16).any(|_| is_full(&mut sockets)), "the line is short");
        Self {
            address: address.as_socket().expect("is an internet address"),
            scheme: "http",
            shared: Arc::new(Shared::new(Manner::Deaf, VecDeque::new(), None)),
            accepting: None,
            _sockets: sockets,
        }
    }

    fn start(manner: Manner, replies: VecDeque<Reply>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("is bound");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared::new(manner, replies, tls));
        let accepting = thread::spawn({
            let shared = shared.clone();
            move || shared.accept(&listener)
        });
        Self {
            address,
            scheme,
            shared,
            accepting: Some(accepting),
            _sockets: Vec::new(),
        }
    }

    pub(crate) fn dsn(&self) -> String {
        format!("{}://{KEY}@{}/1", self.scheme, self.address)
    }

    /// Where it listens, as a URL.
    pub(crate) fn address(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// How many connections were made to it.
    pub(crate) fn connections_made(&self) -> usize {
        self.shared.connections_made.load(Ordering::Acquire)
    }

    /// Everything that came, in its order.
    pub(crate) fn received(&self) -> MutexGuard<'_, Vec<Received>> {
        let received = self.shared.received.lock();
        received.unwrap_or_else(PoisonError::into_inner)
    }

    /// The events that were taken, each batch once.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Event> {
        let batches = self.batches();
        let events = batches.into_iter().flat_map(|batch| batch.events);
        events.map(|(_, event)| event).collect()
    }

    /// The one event that was taken.
    #[track_caller]
    pub(crate) fn only_event(&self) -> Event {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "one event is expected: {events:#?}");
        events.remove(0)
    }

    /// The spans that were taken, each batch once.
    #[track_caller]
    pub(crate) fn spans(&self) -> Vec<Span> {
        let batches = self.batches();
        let spans = batches.into_iter().flat_map(|batch| batch.spans);
        spans.map(|(_, span)| span).collect()
    }

    /// The last word about spans that were lost.
    #[track_caller]
    pub(crate) fn span_losses(&self) -> Option<Losses> {
        let batches = self.batches();
        batches
            .into_iter()
            .flat_map(|batch| batch.span_losses)
            .last()
    }

    /// The last word about what was lost.
    #[track_caller]
    pub(crate) fn losses(&self) -> Option<Losses> {
        let batches = self.batches();
        batches.into_iter().flat_map(|batch| batch.losses).last()
    }

    /// What was told of runs, in its order.
    #[track_caller]
    pub(crate) fn run_states(&self) -> Vec<RunState> {
        let batches = self.batches().into_iter();
        batches.flat_map(|batch| batch.run_states).collect()
    }

    /// How many reports were taken, repeats counted.
    #[track_caller]
    pub(crate) fn reports(&self) -> u64 {
        self.events().iter().map(|event| event.count).sum()
    }

    /// How many bytes of bodies came, resent ones included.
    pub(crate) fn body_bytes(&self) -> usize {
        let received = self.received();
        received
            .iter()
            .map(|received| received.request.body.len())
            .sum()
    }

    /// Everything that came, as it was before compression: what is in no event shows here too.
    pub(crate) fn plain_bytes(&self) -> Vec<u8> {
        let mut plain = Vec::new();
        for received in self.received().iter() {
            let deflated = &received.request.body[HEADER_BYTES..];
            flate2::read::DeflateDecoder::new(deflated)
                .read_to_end(&mut plain)
                .expect("the SDK sends whole batches");
        }
        plain
    }

    #[track_caller]
    fn batches(&self) -> Vec<Batch> {
        let mut seen = BTreeSet::new();
        let received = self.received();
        let batches = received.iter().filter(|received| received.is_taken());
        let batches = batches
            .map(Received::batch)
            .filter(|batch| seen.insert(batch.id));
        batches
            .inspect(|batch| assert_eq!(batch.rejected, [], "every item can be read"))
            .collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        if let Some(accepting) = self.accepting.take() {
            // Wakes the thread that accepts.
            let _ = TcpStream::connect(self.address);
            let ended = accepting.join();
            for (stream, thread) in self.shared.connections().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
                // A client that went away is no fault of the server.
                let _ = thread.join();
            }
            assert!(ended.is_ok() || thread::panicking(), "the server panicked");
        }
    }
}

/// A port of this machine where nobody listens.
pub(crate) fn closed_port_dsn() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("is bound");
    drop(listener);
    format!("http://{KEY}@{address}/1")
}

type Connections = Vec<(TcpStream, JoinHandle<()>)>;

struct Shared {
    manner: Manner,
    tls: Option<Arc<ServerConfig>>,
    replies: Mutex<VecDeque<Reply>>,
    received: Mutex<Vec<Received>>,
    connections: Mutex<Connections>,
    connections_made: AtomicUsize,
    is_over: AtomicBool,
}

impl Shared {
    fn new(manner: Manner, replies: VecDeque<Reply>, tls: Option<Arc<ServerConfig>>) -> Self {
        Self {
            manner,
            tls,
            replies: Mutex::new(replies),
            received: Mutex::default(),
            connections: Mutex::default(),
            connections_made: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        let connections = self.connections.lock();
        connections.unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        while let Ok((stream, _)) = listener.accept() {
            let mut connections = self.connections();
            connections.retain(|(_, thread)| !thread.is_finished());
            if self.is_over() {
                return;
            }
            self.connections_made.fetch_add(1, Ordering::AcqRel);
            if connections.len() >= CONNECTIONS_MAX {
                continue;
            }
            let ours = stream.try_clone().expect("a descriptor is free");
            let shared = self.clone();
            let thread = thread::spawn(move || shared.serve(stream));
            connections.push((ours, thread));
        }
    }

    fn serve(&self, stream: TcpStream) {
        match (&self.manner, &self.tls) {
            (Manner::Deaf, _) => {}
            (_, None) => self.exchange(BufReader::new(stream)),
            (_, Some(config)) => {
                let connection = ServerConnection::new(config.clone());
                let connection = connection.expect("the settings are good");
                self.exchange(BufReader::new(StreamOwned::new(connection, stream)));
            }
        }
    }

    /// Serves one connection up to its end.
    fn exchange(&self, mut stream: BufReader<impl Read + Write>) {
        while let Some(request) = Request::read(&mut stream) {
            let answer = match self.manner {
                Manner::Answers => Some(self.answer(&request)),
                Manner::Drips => Some(taken(&[])),
                Manner::Silent | Manner::Deaf => None,
            };
            // Noted before it is written: who has the answer finds the batch here.
            self.note(request, answer.as_ref().map(|answer| answer.status));
            let written = match (&answer, &self.manner) {
                (None, _) => Ok(()),
                (Some(answer), Manner::Drips) => self.drip(answer, stream.get_mut()),
                (Some(answer), _) => answer.write(stream.get_mut()),
            };
            let is_last = answer.is_some_and(|answer| answer.is_last());
            if written.is_err() || is_last {
                return;
            }
        }
    }

    fn note(&self, request: Request, status: Option<u16>) {
        let received = Received {
            request,
            status,
            at: Instant::now(),
        };
        let all = self.received.lock();
        all.unwrap_or_else(PoisonError::into_inner).push(received);
    }

    fn answer(&self, request: &Request) -> Answer {
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        let refusal = |status| Answer {
            status,
            header: None,
            body: r#"{"error":{"code":"planned","message":"as planned"}}"#.to_owned(),
        };
        match replies.pop_front().unwrap_or(Reply::Taken) {
            Reply::Taken => taken(&[]),
            Reply::TakenButTheFirst => {
                let batch = batch::decode(&request.body).expect("the SDK sends whole batches");
                taken(&[batch.events.first().expect("has an event").0])
            }
            Reply::TakenUnwanting(kinds) => Answer {
                header: Some(("bugsage-pause", kinds.to_owned())),
                ..taken(&[])
            },
            Reply::Status(status) => refusal(status),
            Reply::StatusAndClose(status) => Answer {
                header: Some(("connection", "close".to_owned())),
                ..refusal(status)
            },
            Reply::StatusAndPause(status, seconds) => Answer {
                header: Some(("retry-after", seconds.to_string())),
                ..refusal(status)
            },
        }
    }

    fn drip(&self, answer: &Answer, to: &mut impl Write) -> std::io::Result<()> {
        for byte in answer.to_bytes() {
            to.write_all(&[byte])?;
            to.flush()?;
            // In short steps, so that the server can end.
            for _ in 0..50 {
                if self.is_over() {
                    return Ok(());
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }
}

fn taken(rejected: &[u32]) -> Answer {
    let rejected: Vec<String> = rejected
        .iter()
        .map(|index| format!(r#"{{"index":{index},"reason":"planned"}}"#))
        .collect();
    Answer {
        status: 200,
        header: None,
        body: format!(
            r#"{{"accepted":1,"duplicate":0,"rejected":[{}]}}"#,
            rejected.join(",")
        ),
    }
}
