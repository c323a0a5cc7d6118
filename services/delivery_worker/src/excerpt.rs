//! The beginning of a receiver's answer, fit for the attempts log: printable, short and without the secrets that we sent, which a
//! receiver may well echo.

/// The longest excerpt, in characters.
const EXCERPT_MAX_CHARS: usize = 256;
/// The text that stands in place of a secret.
const REDACTED: &str = "[redacted]";
/// Shorter secrets cannot be told from ordinary text.
const SECRET_MIN_BYTES: usize = 4;

/// Cleans `body`; `secrets` are replaced wherever they occur.
pub(crate) fn of(body: &[u8], secrets: &[String]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    let mut secrets: Vec<&String> = secrets.iter().filter(|secret| secret.len() >= SECRET_MIN_BYTES).collect();
    // The longest first: one secret may be part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), REDACTED);
        }
    }
    let mut words = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.len() > EXCERPT_MAX_CHARS * 4 {
            break;
        }
    }
    match words.char_indices().nth(EXCERPT_MAX_CHARS) {
        None => words,
        Some((end, _)) => format!("{}…", &words[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, secrets: &[&str], expected: &str) {
        let secrets: Vec<String> = secrets.iter().map(ToString::to_string).collect();
        assert_eq!(of(body.as_bytes(), &secrets), expected);
    }

    #[test]
    fn it_is_one_printable_line() {
        check("", &[], "");
        check("  \r\n no\tsuch\n\nchannel\u{0} ", &[], "no such channel");
        check("\u{1b}[31mred", &[], "[31mred");
        assert_eq!(of(&[0xff, b'a'], &[]), "\u{fffd}a");
    }

    #[test]
    fn it_is_short() {
        let long = "é".repeat(1000);
        assert_eq!(of(long.as_bytes(), &[]).chars().count(), EXCERPT_MAX_CHARS + 1);
        assert_eq!(of("a b ".repeat(10_000).as_bytes(), &[]).chars().count(), EXCERPT_MAX_CHARS + 1);
    }

    #[test]
    fn secrets_that_come_back_are_taken_out() {
        check("you sent Bearer abcdef!", &["Bearer abcdef", "abcdef"], "you sent [redacted]!");
        check("token=abcdef", &["abcdef"], "token=[redacted]");
        check("ok", &["ok"], "ok");
    }
}
