//! What is said to a server, and what is made of its answers, over real connections.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use super::*;

/// How long an exchange may take here.
const TIMEOUT: Duration = Duration::from_secs(2);

#[test]
fn rejected_items_are_read_from_the_answer() {
    let answer =
        r#"{"accepted":1,"duplicate":0,"rejected":[{"index":4,"reason":"x"},{"index": 7}]}"#;

    assert_eq!(rejected_items(answer), [4, 7]);
    assert_eq!(rejected_items(r#"{"rejected":[]}"#), Vec::<u32>::new());
    assert_eq!(rejected_items("<html>"), Vec::<u32>::new());
}

#[test]
fn a_request_tells_what_is_in_it_and_who_sends_it() {
    let server = Server::answering(&[&[ok("{}")]]);

    let heard = server.heard(1);

    assert_eq!(heard[0].answer, Answer::Taken);

    let host = format!("host: {}", server.host);
    let requests = server.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").expect("has a body");
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some("POST /v1/batches HTTP/1.1"));
    let mut headers: Vec<&str> = lines.collect();
    headers.sort_unstable();
    let version = concat!("user-agent: bugsage-sdk/", env!("CARGO_PKG_VERSION"));
    let expected = [
        "accept: */*",
        "authorization: Bearer key",
        "bugsage-project: 1",
        "content-length: 5",
        "content-type: application/octet-stream",
        &host,
        version,
    ];
    assert_eq!(headers, expected);
    assert_eq!(body, "batch");
}

#[test]
fn an_answer_says_what_becomes_of_the_batch() {
    let later = |seconds: Option<u64>| Answer::Later {
        after: seconds.map(Duration::from_secs),
    };
    for (status, answer, trouble) in [
        ("201 Created", Answer::Taken, None),
        ("302 Found", later(None), None),
        ("400 Bad", Answer::Refused, None),
        ("401 Who", later(None), Some(UNKNOWN_KEY)),
        ("407 Who", later(None), Some(UNKNOWN_TO_PROXY)),
        ("413 Large", Answer::Refused, None),
        ("415 New", later(None), Some(UNKNOWN_FORMAT)),
        ("429 Later\r\nretry-after: 7", later(Some(7)), None),
        ("503 Later\r\nretry-after: soon", later(None), None),
    ] {
        // Where a redirect led to there would be a second request.
        let text = format!("HTTP/1.1 {status}\r\nlocation: /\r\ncontent-length: 0\r\n\r\n");
        let server = Server::answering(&[&[text]]);

        let heard = server.heard(1).remove(0);

        assert_eq!((heard.answer, heard.trouble), (answer, trouble), "{status}");
        assert_eq!(server.requests().len(), 1, "{status}");
    }
}

#[test]
fn only_an_answer_that_took_the_batch_says_what_is_asked_for() {
    let asked = |value: &str| Some(RemoteSettings::parse(value));
    let header = "bugsage-settings: traces_rate=0.5, event_level=off";
    for (head, expected) in [
        (
            format!("200 OK\r\n{header}"),
            asked("traces_rate=0.5, event_level=off"),
        ),
        ("200 OK".to_owned(), asked("")),
        ("200 OK\r\nbugsage-settings: \u{e9}".to_owned(), asked("")),
        (
            "200 OK\r\nbugsage-settings: traces_rate=2".to_owned(),
            asked(""),
        ),
        (format!("302 Found\r\n{header}"), None),
        (format!("400 Bad\r\n{header}"), None),
        (format!("429 Later\r\n{header}"), None),
        (format!("503 Later\r\n{header}"), None),
    ] {
        let text = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n");
        let server = Server::answering(&[&[text]]);

        assert_eq!(server.heard(1)[0].asked, expected, "{head}");
    }
}

#[test]
fn an_answer_that_breaks_off_counts_by_its_status() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"rejected\":[{\"index\":3}";
    let server = Server::answering(&[&[answer.to_owned()], &[ok("{}")]]);

    let heard = server.heard(2);

    assert_eq!(heard[0].answer, Answer::Taken);
    assert_eq!(heard[0].rejected_items, [3]);
    assert_eq!(heard[1].answer, Answer::Taken, "by another connection");
}

#[test]
fn nobody_waits_for_the_rest_of_an_answer_that_says_no() {
    let answer = "HTTP/1.1 503 Later\r\ncontent-length: 1000\r\n\r\n{";
    let server = Server::answering(&[&[answer.to_owned(), ok("{}")], &[ok("{}")]]);

    let began = std::time::Instant::now();
    let heard = server.heard(2);

    assert!(began.elapsed() < TIMEOUT);
    assert_eq!(heard[0].answer, Answer::Later { after: None });
    assert_eq!(heard[1].answer, Answer::Taken, "by another connection");
}

#[test]
fn an_answer_that_never_ends_counts_by_its_status_when_the_time_is_up() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"index\":3}";
    // It waits for a second request before it closes the first connection.
    let server = Server::answering(&[&[answer.to_owned(), ok("{}")]]);

    let began = std::time::Instant::now();
    let heard = server.heard(1);

    assert!(began.elapsed() >= TIMEOUT);
    assert_eq!(heard[0].answer, Answer::Taken);
    assert_eq!(heard[0].rejected_items, [3]);
}

#[test]
fn a_server_that_never_answers_costs_the_time_of_an_exchange() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let host = listener.local_addr().expect("is bound").to_string();

    let began = std::time::Instant::now();
    let heard = posts_to(&host, 1).remove(0);

    let took = began.elapsed();
    assert!(took >= TIMEOUT && took < 2 * TIMEOUT, "{took:?}");
    assert_eq!(heard, Answer::Later { after: None }.into());
}

#[test]
fn an_answer_without_end_is_read_up_to_a_limit() {
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let index = "10\r\n{\"index\":5,     \r\n";
    let answer = format!("{head}{index}{}{index}", chunk.repeat(8));
    let server = Server::answering(&[&[answer]]);

    assert_eq!(server.heard(1)[0].rejected_items, [5]);
}

#[test]
fn a_connection_is_used_again_and_made_anew_where_it_was_closed() {
    let server = Server::answering(&[&[ok("{}"), ok("{}")], &[ok("{}")]]);

    let heard = server.heard(3);

    assert!(heard.iter().all(|heard| heard.answer == Answer::Taken));
}

#[test]
fn where_nobody_listens_somebody_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let host = listener.local_addr().expect("is bound").to_string();
    drop(listener);

    let heard = posts_to(&host, 1).remove(0);

    assert_eq!(heard.trouble, Some(UNREACHABLE));
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// Posts so many batches, one after the other.
fn posts_to(host: &str, count: usize) -> Vec<Heard> {
    let dsn = format!("http://key@{host}/1").parse().expect("is a DSN");
    let http = Http::new(&dsn, &[]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let client = http.client.expect("a client can be made");
    let batch = Bytes::from_static(b"batch");
    runtime.expect("a runtime can be made").block_on(async {
        let mut heard = Vec::new();
        for _ in 0..count {
            heard.push(exchange(&client, batch.clone(), TIMEOUT).await);
        }
        heard
    })
}

/// Gives planned answers, a list to each connection, which ends with the last of them.
struct Server {
    host: String,
    thread: JoinHandle<Vec<String>>,
}

impl Server {
    fn answering(connections: &[&[String]]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let host = listener.local_addr().expect("is bound").to_string();
        let connections: Vec<Vec<String>> = connections.iter().map(|it| it.to_vec()).collect();
        let serve = move || {
            let mut requests = Vec::new();
            for answers in connections {
                let (mut stream, _) = listener.accept().expect("the client connects");
                for answer in answers {
                    let Some(request) = request(&mut stream) else {
                        break;
                    };
                    requests.push(request);
                    // A client that has heard enough closes the connection.
                    let _ = stream.write_all(answer.as_bytes());
                }
            }
            requests
        };
        Self {
            host,
            thread: thread::spawn(serve),
        }
    }

    fn heard(&self, count: usize) -> Vec<Heard> {
        posts_to(&self.host, count)
    }

    /// All that came.
    fn requests(self) -> Vec<String> {
        self.thread.join().expect("the server does not panic")
    }
}

/// Reads a request with the body that is expected; `None` where none comes any more.
fn request(from: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"batch") {
        let mut bytes = [0; 1_024];
        let length = from.read(&mut bytes).ok().filter(|length| *length > 0)?;
        request.extend_from_slice(&bytes[..length]);
    }
    Some(String::from_utf8(request).expect("is text"))
}
