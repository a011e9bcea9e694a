//! As much of HTTP/1.1 as the service needs: one request and one answer on a connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// The longest request line and headers. Browsers send about 1 KiB.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// The longest body. An order of a hundred lines takes 2 KiB.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// How long a client may take to send its request, and again to read the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A request, as far as anyone here looks at it.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// In capitals, as sent.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Up to [`BODY_BYTES_MAX`].
    pub body: Vec<u8>,
}

/// An answer in plain text.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The text.
    pub body: String,
}

impl Response {
    /// An answer with `status` and `body`.
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        let body = body.into();
        Self { status, body }
    }

    fn reason(&self) -> &'static str {
        match self.status {
            200 => "OK",
            201 => "Created",
            202 => "Accepted",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            411 => "Length Required",
            413 => "Content Too Large",
            422 => "Unprocessable Content",
            431 => "Request Header Fields Too Large",
            _ => "Internal Server Error",
        }
    }
}

/// Why there is no request to answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The client went away, or never said anything.
    Gone,
    /// The client took longer than [`TIMEOUT`].
    TooSlow,
    /// The head is longer than [`HEAD_BYTES_MAX`].
    HeadTooLong,
    /// The body is longer than [`BODY_BYTES_MAX`].
    BodyTooLong,
    /// A method that has a body came without `Content-Length`.
    NoLength,
    /// This is not HTTP/1.
    Malformed,
}

impl Refused {
    /// What to tell the client, if it is still there.
    pub fn response(&self) -> Option<Response> {
        let (status, body) = match self {
            Self::Gone => return None,
            Self::TooSlow => (408, "the request took too long\n"),
            Self::HeadTooLong => (431, "the head is longer than 8 KiB\n"),
            Self::BodyTooLong => (413, "the body is longer than 16 KiB\n"),
            Self::NoLength => (411, "a body needs a Content-Length\n"),
            Self::Malformed => (400, "this is not HTTP/1.1\n"),
        };
        Some(Response::new(status, body))
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::TooSlow,
            _ => Self::Gone,
        }
    }
}

/// Reads the request on `stream`.
pub fn read(stream: &mut TcpStream) -> Result<Request, Refused> {
    let mut stream = Timed {
        stream,
        deadline: Instant::now() + TIMEOUT,
    };
    request(&mut stream)
}

/// Writes `response` and closes the connection; a client that does not listen is let go.
pub fn write(mut stream: TcpStream, response: &Response) {
    let head = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        response.status,
        response.reason(),
        response.body.len(),
    );
    let answer = head + &response.body;
    let _ = stream
        .set_write_timeout(Some(TIMEOUT))
        .and_then(|()| stream.write_all(answer.as_bytes()))
        .and_then(|()| stream.shutdown(Shutdown::Write));
}

fn request(stream: &mut impl Read) -> Result<Request, Refused> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if bytes.len() >= HEAD_BYTES_MAX {
            return Err(Refused::HeadTooLong);
        }
        read_some(stream, &mut bytes)?;
    };

    let head = str::from_utf8(&bytes[..head_end]).map_err(|_| Refused::Malformed)?;
    let mut lines = head.split("\r\n");
    let (method, path) = request_line(lines.next().unwrap_or_default())?;
    let length = content_length(lines, &method)?;

    let mut body = bytes.split_off(head_end + 4);
    while body.len() < length {
        read_some(stream, &mut body)?;
    }
    body.truncate(length);
    Ok(Request { method, path, body })
}

fn request_line(line: &str) -> Result<(String, String), Refused> {
    let mut words = line.split(' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(method), Some(target), Some(version), None) if version.starts_with("HTTP/1.") => {
            let path = target.split('?').next().unwrap_or_default();
            Ok((method.to_owned(), path.to_owned()))
        }
        _ => Err(Refused::Malformed),
    }
}

fn content_length<'a>(
    headers: impl Iterator<Item = &'a str>,
    method: &str,
) -> Result<usize, Refused> {
    let mut length = None;
    for header in headers {
        let (name, value) = header.split_once(':').ok_or(Refused::Malformed)?;
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Refused::NoLength);
        }
        if name.eq_ignore_ascii_case("content-length") {
            let value = value.trim().parse().map_err(|_| Refused::Malformed)?;
            if length.replace(value).is_some_and(|other| other != value) {
                return Err(Refused::Malformed);
            }
        }
    }
    match length {
        Some(length) if length > BODY_BYTES_MAX => Err(Refused::BodyTooLong),
        Some(length) => Ok(length),
        None if method == "POST" => Err(Refused::NoLength),
        None => Ok(0),
    }
}

fn read_some(stream: &mut impl Read, bytes: &mut Vec<u8>) -> Result<(), Refused> {
    let mut chunk = [0; 4096];
    let n_read = stream.read(&mut chunk)?;
    if n_read == 0 {
        return Err(Refused::Gone);
    }
    bytes.extend_from_slice(&chunk[..n_read]);
    Ok(())
}

/// A stream that is read until a deadline, however slowly it drips.
struct Timed<'a> {
    stream: &'a mut TcpStream,
    deadline: Instant,
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        self.stream.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_its_body() {
        let read = parse("POST /orders?now HTTP/1.1\r\ncontent-length: 4\r\n\r\na=b&more");

        let expected = Request {
            method: "POST".to_owned(),
            path: "/orders".to_owned(),
            body: b"a=b&".to_vec(),
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn what_is_too_long_is_refused_unread() {
        let head = format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(HEAD_BYTES_MAX));
        let body = "POST / HTTP/1.1\r\nContent-Length: 16385\r\n\r\n";

        assert_eq!(parse(&head), Err(Refused::HeadTooLong));
        assert_eq!(parse(body), Err(Refused::BodyTooLong));
    }

    #[test]
    fn a_body_of_unknown_length_is_refused() {
        let chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

        assert_eq!(parse("POST / HTTP/1.1\r\n\r\n"), Err(Refused::NoLength));
        assert_eq!(parse(chunked), Err(Refused::NoLength));
    }

    #[test]
    fn what_is_not_http_is_refused() {
        assert_eq!(parse("hello\r\n\r\n"), Err(Refused::Malformed));
        assert_eq!(
            parse("GET / HTTP/1.1\r\nhello\r\n\r\n"),
            Err(Refused::Malformed)
        );
    }

    #[test]
    fn a_client_that_leaves_early_gets_no_answer() {
        assert_eq!(parse("GET / HT"), Err(Refused::Gone));
    }

    fn parse(sent: &str) -> Result<Request, Refused> {
        request(&mut sent.as_bytes())
    }
}
