//! Takes out of a message what varies from one report to the next.

/// How much of a message is looked at; what tells bugs apart stands at the beginning.
const MESSAGE_BYTES_MAX: usize = 1_024;

/// Words of a template that count towards a fingerprint. Values that look like words stand behind
/// the fixed beginning of a message more often than in it.
const WORDS_MAX: usize = 4;

/// The first line of a message with numbers, ids, paths and quoted data replaced by their kind.
pub fn template(message: &str) -> String {
    fill(message, usize::MAX)
}

/// The [`opening`] of a message's template, without the rest of it.
pub fn words(message: &str) -> String {
    opening(&fill(message, WORDS_MAX))
}

/// A template up to its first parameter or that many words, whichever is first, and perhaps more.
fn fill(message: &str, words_max: usize) -> String {
    let mut words = 0;
    let line = message.lines().next().unwrap_or("");
    let line = &line[..line.floor_char_boundary(MESSAGE_BYTES_MAX)];
    let mut template = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = quoted(rest) {
            template.push_str("<text>");
            rest = &rest[length..];
        } else if is_word(c) || c == '/' || c == '~' || is_sign(&template, rest) {
            let length = rest.find(|c: char| !is_word(c) && !"/.:~@+-".contains(c));
            let (word, behind) = rest.split_at(length.unwrap_or(rest.len()));
            let kept = word.trim_end_matches(['.', ':', '-']);
            template.push_str(parameter(kept));
            template.push_str(&word[kept.len()..]);
            rest = behind;
        } else {
            let ends_word = c.is_whitespace() && !template.is_empty();
            if ends_word && !template.ends_with(char::is_whitespace) {
                words += 1;
                if words >= words_max || (words_max < usize::MAX && template.contains('<')) {
                    break;
                }
            }
            template.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    template
}

/// The beginning of a template up to its first parameter, at most four words.
///
/// Where the message begins with a parameter, the kind of the parameter is the beginning.
pub fn opening(template: &str) -> String {
    let fixed = template.split('<').next().unwrap_or(template);
    let words: Vec<&str> = fixed.split_whitespace().take(WORDS_MAX).collect();
    if words.is_empty() {
        return template.split_whitespace().next().unwrap_or("").to_owned();
    }
    words.join(" ")
}

/// Whether a number begins here with its sign.
fn is_sign(before: &str, text: &str) -> bool {
    let mut chars = text.chars();
    matches!(chars.next(), Some('-' | '+'))
        && chars.next().is_some_and(|c| c.is_ascii_digit())
        && before
            .chars()
            .next_back()
            .is_none_or(|c| !is_word(c) && c != '>')
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a quoted text at the start.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| "\"`'".contains(*c))?;
    let close = text[1..].find(quote)? + 2;
    // An apostrophe inside a sentence opens nothing.
    let ends_well = text[close..].chars().next().is_none_or(|c| !is_word(c));
    (quote != '\'' || ends_well).then_some(close)
}

fn parameter(word: &str) -> &str {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let hex = word.bytes().filter(u8::is_ascii_hexdigit).count();
    let hyphens = word.bytes().filter(|b| *b == b'-').count();
    if word.len() == 36 && hyphens == 4 && hex == 32 {
        "<uuid>"
    } else if word.starts_with(['/', '~'])
        || word.starts_with("./")
        || word.matches('/').count() >= 2
    {
        "<path>"
    } else if word.contains("://") {
        "<url>"
    } else if digits > 0
        && word
            .bytes()
            .all(|b| b.is_ascii_digit() || b".:-+_".contains(&b))
    {
        "<n>"
    } else if word.starts_with("0x") || (word.len() >= 8 && hex == word.len() && digits > 0) {
        "<hex>"
    } else if digits * 3 >= word.len() && digits > 0 {
        "<id>"
    } else {
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_their_kind() {
        for (message, expected) in [
            ("order 17 not found", "order <n> not found"),
            ("no user `ann` in \"eu-1\"", "no user <text> in <text>"),
            (
                "can't open /etc/shop.toml: denied",
                "can't open <path>: denied",
            ),
            (
                "job 0190a1b2-0000-7000-8000-000000000001 failed",
                "job <uuid> failed",
            ),
            ("at 0x7ffe and deadbeef00", "at <hex> and <hex>"),
            ("took 1.5 s.\nsecond line", "took <n> s."),
            ("quantity -3 is below -0.5", "quantity <n> is below <n>"),
            ("pages 3-7", "pages <n>"),
            ("SKU-12345 is gone", "<id> is gone"),
            ("", ""),
        ] {
            assert_eq!(template(message), expected);
        }
    }

    #[test]
    fn the_opening_is_what_stands_before_the_first_value() {
        assert_eq!(opening("order <n> not found"), "order");
        assert_eq!(
            opening("the state of this machine is broken"),
            "the state of this"
        );
        assert_eq!(opening("<id> is gone"), "<id>");
        assert_eq!(opening(""), "");
    }
}
