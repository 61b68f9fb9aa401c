//! Hides what looks like a secret in whatever is logged.
//!
//! A last defence: nothing logs a secret on purpose. So it rather hides too much than too little where a value is
//! clearly given to a name (`"password": "x"`, `token=x`), and leaves sentences alone (`rotate-key: timed out`).

use std::borrow::Cow;

/// What stands in place of a hidden value.
pub(super) const MASK: &str = "***";

/// Whether the value under this name is hidden: names of headers, of fields and of JSON members, in any case, with `-`
/// or `_`.
pub(super) fn is_sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    ["authorization", "cookie", "secret", "password", "passwd"]
        .iter()
        .any(|part| name.contains(part))
        || ["-key", "apikey", "accesskey", "privatekey", "token"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// `text` with the values of sensitive names and the credentials after `Bearer` and `Basic` hidden.
pub(super) fn mask(text: &str) -> Cow<'_, str> {
    let mut masked = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(word) = next_word(text, at) {
        at = word.end;
        if let Some(hidden) = hidden_after(text, &word) {
            masked.push_str(&text[copied..hidden.start]);
            masked.push_str(MASK);
            copied = hidden.end;
            at = hidden.end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    masked.push_str(&text[copied..]);
    Cow::Owned(masked)
}

/// A range of bytes, never empty.
struct Span {
    start: usize,
    end: usize,
}

/// The first word from `at` on: ASCII letters, digits, `-` and `_`.
fn next_word(text: &str, at: usize) -> Option<Span> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let start = at + text.as_bytes()[at..].iter().position(is_word)?;
    let length = text.as_bytes()[start..]
        .iter()
        .take_while(|byte| is_word(byte))
        .count();
    Some(Span {
        start,
        end: start + length,
    })
}

/// The value to hide that belongs to `word`, without its quotes.
fn hidden_after(text: &str, word: &Span) -> Option<Span> {
    let name = &text[word.start..word.end];
    if name.eq_ignore_ascii_case("bearer") || name.eq_ignore_ascii_case("basic") {
        return credentials(text, word.end);
    }
    if !is_sensitive(name) {
        return None;
    }
    let (before, after) = (&text[..word.start], &text[word.end..]);
    let name_quote = quote(after).filter(|quote| before.ends_with(quote));
    let rest = after.strip_prefix(name_quote.unwrap_or_default())?;
    let spaced = rest.trim_start_matches([' ', '\t']);
    let separator = spaced.chars().next()?;
    let value = spaced[separator.len_utf8()..].trim_start_matches([' ', '\t']);
    let start = text.len() - value.len();
    let given = match separator {
        ':' => name_quote.is_some() || quote(value).is_some() || is_header(name) || begins_line(text, before),
        '=' => name_quote.is_some() || rest.starts_with('='),
        // A pair as Rust prints it: ("authorization", "x").
        ',' => {
            quote(value).is_some()
                && name_quote.is_some_and(|quote| before[..before.len() - quote.len()].ends_with('('))
        }
        _ => false,
    };
    if !given {
        return None;
    }
    let (start, length) = match quote(value) {
        Some(quote) => (start + quote.len(), quoted_length(&value[quote.len()..], quote)),
        None if value.starts_with('[') => (start, value.find(']').map_or(value.len(), |end| end + 1)),
        // What is in an object has names of its own.
        None if value.starts_with('{') => return None,
        // A header as it is sent goes on to the end of its line.
        None if separator == ':' && name_quote.is_none() => (start, length_until(value, &['\r', '\n'])),
        None => (
            start,
            length_until(
                value,
                &[' ', '\t', '\r', '\n', ',', ';', '&', ')', '}', ']', '"', '\''],
            ),
        ),
    };
    (length > 0).then_some(Span {
        start,
        end: start + length,
    })
}

/// What follows `Bearer` or `Basic`, if it looks like credentials and not like a word of a sentence.
fn credentials(text: &str, at: usize) -> Option<Span> {
    let rest = text[at..].strip_prefix(' ')?;
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    let length = rest.bytes().take_while(|byte| is_token(byte)).count();
    let unlike_a_word =
        |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase() || b"_~+/=".contains(&byte);
    let looks_random = length >= 8 && rest.bytes().take(length).skip(1).any(unlike_a_word);
    looks_random.then_some(Span {
        start: at + 1,
        end: at + 1 + length,
    })
}

/// The quote that `text` begins with, with the backslashes before it where a quoted text stands in a quoted one.
fn quote(text: &str) -> Option<&str> {
    let backslashes = text.bytes().take_while(|byte| *byte == b'\\').count();
    matches!(text.as_bytes().get(backslashes), Some(b'"' | b'\'')).then(|| &text[..=backslashes])
}

/// The bytes before the closing `quote`, all if there is none.
fn quoted_length(text: &str, quote: &str) -> usize {
    let mut from = 0;
    let last = &quote[quote.len() - 1..];
    while let Some(found) = text[from..].find(last) {
        let end = from + found;
        let backslashes = text[..end]
            .bytes()
            .rev()
            .take_while(|byte| *byte == b'\\')
            .count();
        if backslashes < quote.len() {
            return end - backslashes;
        }
        from = end + 1;
    }
    text.len()
}

fn length_until(text: &str, ends: &[char]) -> usize {
    text.find(ends).unwrap_or(text.len())
}

/// Whether `name` is a header's and nothing else's, so that what follows it and a colon is its value.
fn is_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("x-")
        || matches!(
            name.as_str(),
            "authorization" | "proxy-authorization" | "cookie" | "set-cookie"
        )
}

/// Whether a name after `before` is the first of its line in a text of several lines, as in YAML.
fn begins_line(text: &str, before: &str) -> bool {
    text.contains('\n')
        && before
            .rsplit('\n')
            .next()
            .is_some_and(|line| line.trim_matches([' ', '-']).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_in_every_spelling() {
        for name in [
            "Authorization",
            "proxy-authorization",
            "Cookie",
            "set_cookie",
            "X-Api-Key",
            "idempotency_key",
            "apiKey",
            "PRIVATE-TOKEN",
            "accessToken",
            "token",
            "client_secret",
            "secretKey",
            "DB_PASSWORD",
            "passwordHash",
        ] {
            assert!(is_sensitive(name), "{name}");
        }
        for name in [
            "key",
            "keys",
            "path",
            "message",
            "tokenizer",
            "monkey",
            "author",
            "execution_uid",
        ] {
            assert!(!is_sensitive(name), "{name}");
        }
    }

    #[test]
    fn values_given_to_sensitive_names_are_hidden() {
        let check = |text: &str, expect: &str| assert_eq!(mask(text), expect, "{text}");
        check(
            r#"{"password": "a\"b", "user": "u"}"#,
            r#"{"password": "***", "user": "u"}"#,
        );
        check(r#"{"token":null,"n":1}"#, r#"{"token":***,"n":1}"#);
        check(r#"{"api-key" : 12, "b": 2}"#, r#"{"api-key" : ***, "b": 2}"#);
        check(
            r#"{"secret": {"name": "n", "password": "p"}}"#,
            r#"{"secret": {"name": "n", "password": "***"}}"#,
        );
        check(
            r#"{"password": ["a", "b"], "c": 1}"#,
            r#"{"password": ***, "c": 1}"#,
        );
        check(
            r#""{\"password\": \"p\", \"a\": \"b\"}""#,
            r#""{\"password\": \"***\", \"a\": \"b\"}""#,
        );
        check(
            r#"[("authorization", "Bearer x"), ("accept", "y")]"#,
            r#"[("authorization", "***"), ("accept", "y")]"#,
        );
        check(
            r#"Login { api_key: "k", user: "u" }"#,
            r#"Login { api_key: "***", user: "u" }"#,
        );
        check("https://x/?token=abc&a=b", "https://x/?token=***&a=b");
        check("password=abc, user=u", "password=***, user=u");
        check("Cookie: a=b; c=d\nAccept: x", "Cookie: ***\nAccept: x");
        check("sent X-Api-Key: abc", "sent X-Api-Key: ***");
        check(
            "data:\n  password: hunter2\n  user: u",
            "data:\n  password: ***\n  user: u",
        );
        check("with Bearer eyJhbGciOi.J9 and more", "with Bearer *** and more");
        check("with basic dXNlcjpwYXNz", "with basic ***");
        check(r#"{"password": "ünï"#, r#"{"password": "***"#);
    }

    #[test]
    fn sentences_are_left_alone() {
        for text in [
            "action rotate-key: timed out",
            "secrets \"shop-password\" is forbidden: User \"x\" cannot get resource \"secrets\"",
            "failed to read Secret: connection refused",
            "basic authentication is not supported",
            "Bearer tokens are not accepted",
            "password",
            "password=",
            "the token is == x",
            "höhe: 3 µm, token",
            "",
        ] {
            assert_eq!(mask(text), text);
        }
    }
}
