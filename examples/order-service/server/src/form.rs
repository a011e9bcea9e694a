//! Forms: `name=Ann+Lee&country=DE`, or one `key=value` a line.

/// Reads the fields of the form `body`, or `None` when it is not UTF-8.
///
/// A body with a line break in it is read line by line and nothing in it is escaped; any other is
/// `application/x-www-form-urlencoded`.
pub fn parse(body: &[u8]) -> Option<Vec<(String, String)>> {
    let body = str::from_utf8(body).ok()?;
    if body.contains('\n') {
        return Some(body.lines().map(field).collect());
    }
    body.split('&')
        .map(|pair| {
            let (key, value) = field(pair);
            Some((unescape(&key)?, unescape(&value)?))
        })
        .collect()
}

fn field(pair: &str) -> (String, String) {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    (key.trim().to_owned(), value.trim().to_owned())
}

/// Resolves `+` and `%XX`; a `%` that no two digits follow stands for itself.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => match escaped(after) {
                Some(byte) => {
                    bytes.push(byte);
                    rest = &after[2..];
                }
                None => bytes.push(b'%'),
            },
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

fn escaped(after: &[u8]) -> Option<u8> {
    let digit = |index: usize| char::from(*after.get(index)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_resolved() {
        let fields = parse(b"name=Zo%C3%AB+Lee&note=100%&empty").unwrap();

        assert_eq!(
            fields,
            [("name", "Zoë Lee"), ("note", "100%"), ("empty", "")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn lines_are_taken_as_they_are() {
        let fields = parse(b"name=Ann + Lee\r\ncountry=DE\n").unwrap();

        assert_eq!(fields[0].1, "Ann + Lee");
        assert_eq!(fields[1].1, "DE");
    }

    #[test]
    fn what_is_not_utf_8_is_no_form() {
        assert_eq!(parse(b"name=%FF"), None);
        assert_eq!(parse(b"\xff"), None);
    }
}
