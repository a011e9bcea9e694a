//! Accepts connections, answers one request on each, and stops cleanly.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::http::{self, Response};
use crate::routes::{self, Outcome};

/// The most connections served at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 64;

/// How long to wait after a failed `accept`: it fails as often as it is tried while the process
/// has no file descriptor to spare.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Serves on `listen` until told to stop, and returns once the last request is answered.
pub fn run(listen: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    let stop = Arc::new(Stop {
        address: reachable(listener.local_addr()?),
        asked: AtomicBool::new(false),
    });
    stop_at_end_of_input(Arc::clone(&stop));

    println!("listening on http://{}", listener.local_addr()?);
    io::stdout().flush()?;

    let slots = Arc::new(Slots::default());
    while !stop.is_asked() {
        let slot = Slots::take(&slots);
        match listener.accept() {
            Ok((stream, _)) => serve(stream, slot, Arc::clone(&stop)),
            Err(_) => thread::sleep(ACCEPT_RETRY),
        }
    }
    slots.wait_until_free();
    Ok(())
}

/// Answers the request on `stream` in a thread of its own.
fn serve(stream: TcpStream, slot: Slot, stop: Arc<Stop>) {
    let request = move || {
        answer(stream, &stop);
        drop(slot);
    };
    // Without a thread the connection is dropped, and its slot with it.
    let _ = thread::Builder::new().name("request".into()).spawn(request);
}

fn answer(mut stream: TcpStream, stop: &Stop) {
    let outcome = match http::read(&mut stream) {
        // A panic costs its request only: no state outlives a request.
        Ok(request) => panic::catch_unwind(AssertUnwindSafe(|| routes::handle(&request)))
            .unwrap_or_else(|_| Response::new(500, "something went wrong\n").into()),
        Err(refused) => match refused.response() {
            Some(response) => response.into(),
            None => return,
        },
    };
    match outcome {
        Outcome::Answer(response) => http::write(stream, &response),
        Outcome::Stop(response) => {
            http::write(stream, &response);
            stop.ask();
        }
    }
}

fn stop_at_end_of_input(stop: Arc<Stop>) {
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        stop.ask();
    });
}

/// The way to end the accept loop, from any thread.
struct Stop {
    address: SocketAddr,
    asked: AtomicBool,
}

impl Stop {
    fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        // The loop sits in `accept`; a connection of our own wakes it.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }

    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}

/// Where a listener on `bound` can be reached from this machine.
fn reachable(mut bound: SocketAddr) -> SocketAddr {
    if bound.ip().is_unspecified() {
        match bound {
            SocketAddr::V4(_) => bound.set_ip(Ipv4Addr::LOCALHOST.into()),
            SocketAddr::V6(_) => bound.set_ip(Ipv6Addr::LOCALHOST.into()),
        }
    }
    bound
}

/// Counts the connections that are served.
#[derive(Default)]
struct Slots {
    taken: Mutex<usize>,
    freed: Condvar,
}

impl Slots {
    /// Waits until fewer than [`CONNECTIONS_MAX`] are taken, and takes one.
    fn take(slots: &Arc<Self>) -> Slot {
        let taken = slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = slots
            .freed
            .wait_while(taken, |taken| *taken >= CONNECTIONS_MAX)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Slot(Arc::clone(slots))
    }

    fn wait_until_free(&self) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.freed.wait_while(taken, |taken| *taken > 0));
    }
}

/// One connection's place, given back on drop.
struct Slot(Arc<Slots>);

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken -= 1;
        self.0.freed.notify_all();
    }
}
