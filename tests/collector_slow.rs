//! Slow clients wait for themselves, not others for them.

use std::io::{BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Client, Request, is_closed, read_answer};
use crate::support::collector::Collector;
use crate::support::events::EventBuilder;

/// Slow clients at once: more than bodies are read at once where each counts as a whole one.
const SLOW: usize = 40;

#[test]
fn slow_bodies_do_not_keep_others_from_being_served() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let batch = EventBuilder::panic("price").seal();
    let request = Request::batch(&project.key, &batch.bytes);
    let mut slow: Vec<TcpStream> = (0..SLOW).map(|_| connect(&collector)).collect();
    let (bytes, body_at) = request.to_bytes(collector.address());

    for stream in &mut slow {
        stream.write_all(&bytes[..body_at]).expect("is taken");
    }
    let begun = Instant::now();
    for byte in &bytes[body_at..body_at + 3] {
        for stream in &mut slow {
            stream.write_all(&[*byte]).expect("is taken");
        }
        for _ in 0..5 {
            let batch = EventBuilder::panic("price").seal();
            assert_eq!(collector.send(&project, &batch).taken(), (1, 0));
        }
        thread::sleep(Duration::from_millis(300));
    }

    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(collector.folder().only_issue()["events"], 15);
}

#[test]
fn who_sends_a_request_and_closes_its_half_gets_the_answer() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let batch = EventBuilder::panic("price").seal();
    let (bytes, _) = Request::batch(&project.key, &batch.bytes).to_bytes(collector.address());
    let mut stream = connect(&collector);

    stream.write_all(&bytes).expect("is taken");
    stream.shutdown(Shutdown::Write).expect("can be closed");

    let answer = read_answer(&mut BufReader::new(&stream)).expect("is answered");
    assert_eq!(answer.taken(), (1, 0));
    assert!(is_closed(&mut stream), "and then it ends");
}

#[test]
fn a_head_that_never_ends_is_given_up_and_keeps_nobody_waiting() {
    let collector = Collector::start();
    let project = collector.create_project("shop");
    let mut endless = connect(&collector);
    endless
        .write_all(b"POST /v1/batches HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
        .expect("is taken");

    let batch = EventBuilder::panic("price").seal();
    assert_eq!(collector.send(&project, &batch).taken(), (1, 0));

    assert!(is_closed(&mut endless));
}

fn connect(collector: &Collector) -> TcpStream {
    Client::new(collector.address())
        .connect()
        .expect("is accepted")
}
