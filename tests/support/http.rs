//! As much of HTTP/1.1 as a server for tests needs: requests with a length, answers with a body.

use std::io::{self, BufRead, BufReader, Read, Write};

use bugsage_core::limits;

/// The longest line of a request's head.
const LINE_BYTES_MAX: u64 = 8 << 10;

/// The most lines of a request's head.
const LINES_MAX: usize = 64;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Method and path: `POST /v1/batches`.
    pub(crate) line: String,
    /// Lowercase names and values.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// Reads the next request of a connection; `None` at its end.
    pub(crate) fn read(from: &mut BufReader<impl Read>) -> Option<Self> {
        let line = read_line(from)?;
        let (line, _version) = line.rsplit_once(' ')?;
        let mut headers = Vec::new();
        loop {
            let header = read_line(from)?;
            if header.is_empty() {
                break;
            }
            let (name, value) = header.split_once(':')?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            assert!(headers.len() <= LINES_MAX, "a head is bounded");
        }
        let mut request = Self {
            line: line.to_owned(),
            headers,
            body: Vec::new(),
        };
        let length: usize = request.header("content-length")?.parse().ok()?;
        assert!(length <= limits::BATCH_BYTES_MAX, "{length} bytes come");
        request.body.resize(length, 0);
        from.read_exact(&mut request.body).ok()?;
        Some(request)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| &**value)
    }
}

fn read_line(from: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    from.take(LINE_BYTES_MAX).read_line(&mut line).ok()?;
    line.strip_suffix("\r\n").map(str::to_owned)
}

/// An answer that is about to be written.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) header: Option<(&'static str, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// Whether the connection ends with it.
    pub(crate) fn is_last(&self) -> bool {
        self.header
            .as_ref()
            .is_some_and(|(name, _)| *name == "connection")
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!(
            "HTTP/1.1 {} Answer\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            self.status,
            self.body.len()
        );
        if let Some((name, value)) = &self.header {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        format!("{head}\r\n{}", self.body).into_bytes()
    }

    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.to_bytes())?;
        to.flush()
    }
}
