//! Names of traces and spans, and how they travel from one service to the next: W3C Trace Context,
//! <https://www.w3.org/TR/trace-context/>.

use std::fmt;
use std::str::FromStr;

/// The header that carries a [`TraceContext`].
pub const TRACEPARENT: &str = "traceparent";

/// Names one trace, over all services that take part in it. Never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// Names one span in its trace. Never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

/// Where a trace is at: what one service tells the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span that what follows belongs under.
    pub span: SpanId,
    /// Whether the trace is recorded. Who is asked to go on decides so too.
    pub is_sampled: bool,
}

/// The text is no name of a trace or span, or no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidTraceContext;

impl fmt::Display for InvalidTraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no trace context: 32 and 16 lower hex digits, neither all zeros, are expected")
    }
}

impl std::error::Error for InvalidTraceContext {}

macro_rules! hex_id {
    ($name:ident, $bytes:literal) => {
        impl $name {
            /// Takes an id as it came; `None` for all zeros, which name nothing.
            pub fn from_bytes(bytes: [u8; $bytes]) -> Option<Self> {
                (bytes != [0; $bytes]).then_some(Self(bytes))
            }

            /// The id as bytes, most significant first.
            pub const fn to_bytes(self) -> [u8; $bytes] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidTraceContext;

            /// Reads lower-case hex digits, as many as the id has.
            fn from_str(text: &str) -> Result<Self, InvalidTraceContext> {
                let mut bytes = [0; $bytes];
                read_hex(text.as_bytes(), &mut bytes)
                    .and_then(|()| Self::from_bytes(bytes))
                    .ok_or(InvalidTraceContext)
            }
        }

        #[cfg(feature = "model")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        #[cfg(feature = "model")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id!(TraceId, 16);
hex_id!(SpanId, 8);

impl TraceContext {
    /// Reads the value of a `traceparent` header.
    ///
    /// A version beyond `00` may have more behind a further hyphen, which says nothing to us; `ff` is no
    /// version. Upper case is not allowed by the standard and not taken.
    pub fn parse(traceparent: &str) -> Result<Self, InvalidTraceContext> {
        Self::read(traceparent.trim_matches([' ', '\t'])).ok_or(InvalidTraceContext)
    }

    fn read(text: &str) -> Option<Self> {
        let (known, rest) = text.split_at_checked(55)?;
        let mut parts = known.split('-');
        let mut version = [0];
        let mut flags = [0];
        read_hex(parts.next()?.as_bytes(), &mut version)?;
        let trace = parts.next()?.parse().ok()?;
        let span = parts.next()?.parse().ok()?;
        read_hex(parts.next()?.as_bytes(), &mut flags)?;
        let is_whole = match version[0] {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        (is_whole && parts.next().is_none()).then_some(Self {
            trace,
            span,
            is_sampled: flags[0] & 1 == 1,
        })
    }
}

/// The value of a `traceparent` header, of version `00`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(f, "00-{}-{}-{flags:02x}", self.trace, self.span)
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    fn from_str(text: &str) -> Result<Self, InvalidTraceContext> {
        Self::parse(text)
    }
}

/// Fills `bytes` from exactly twice as many lower-case digits.
fn read_hex(digits: &[u8], bytes: &mut [u8]) -> Option<()> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != bytes.len() {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn parse(text: &str) -> Option<(String, String, bool)> {
        let context = TraceContext::parse(text).ok()?;
        let TraceContext {
            trace,
            span,
            is_sampled,
        } = context;
        Some((trace.to_string(), span.to_string(), is_sampled))
    }

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let known = |sampled| Some((TRACE.to_owned(), SPAN.to_owned(), sampled));
        let of = |version: &str, flags: &str| parse(&format!("{version}-{TRACE}-{SPAN}-{flags}"));

        assert_eq!(of("00", "01"), known(true));
        assert_eq!(of("00", "00"), known(false));
        assert_eq!(of("00", "ff"), known(true), "other flags say nothing");
        assert_eq!(of("00", "02"), known(false));
        assert_eq!(of("cc", "01"), known(true), "a later version");
        assert_eq!(of("cc", "01-what-the-future-brings"), known(true));
        assert_eq!(of("cc", "01.what"), None);
        assert_eq!(of("00", "01-more"), None, "version 00 has four parts");
        assert_eq!(of("ff", "01"), None);
        assert_eq!(of("00", "1"), None);
        assert_eq!(of("0", "01"), None);
        assert_eq!(of("zz", "01"), None);
        assert_eq!(parse(&format!(" 00-{TRACE}-{SPAN}-01\t")), known(true));
    }

    #[test]
    fn what_names_nothing_is_no_context() {
        let zero = "0".repeat(32);
        assert_eq!(parse(&format!("00-{zero}-{SPAN}-01")), None);
        assert_eq!(parse(&format!("00-{TRACE}-{}-01", &zero[..16])), None);
        assert_eq!(
            parse(&format!("00-{}-{SPAN}-01", TRACE.to_uppercase())),
            None
        );
        assert_eq!(parse(""), None);
        assert_eq!(parse(&"é".repeat(55)), None);
        assert_eq!(parse(&format!("00_{TRACE}_{SPAN}_01")), None);
        assert_eq!(parse(&format!("00-{SPAN}-{TRACE}-01")), None);
    }

    #[test]
    fn a_context_survives_its_text() {
        let text = format!("00-{TRACE}-{SPAN}-01");
        let context: TraceContext = text.parse().expect("is one");

        assert_eq!(context.to_string(), text);
        let json = serde_json::to_string(&context.trace).expect("is text");
        assert_eq!(json, format!("\"{TRACE}\""));
        assert_eq!(
            serde_json::from_str::<TraceId>(&json).ok(),
            Some(context.trace)
        );
    }
}
