//! Errors that differ in a number, an id or a path alone are one error.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// How much of a message is looked at, in bytes.
const LOOKED_AT: usize = 1_024;

/// The longest fingerprint, in bytes.
pub(crate) const LONGEST: usize = 256;

/// What differs from one occurrence of an error to the next. An apostrophe
/// inside of a word (`can't`) quotes nothing.
static VARIES: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"(?x)
        (?P<text> "[^"]*" | `[^`]*` | \B'[^']*'\B )
        | (?P<path> (?: \b[a-zA-Z][a-zA-Z0-9+.-]*:// | \b[A-Za-z]:\\ | \B~?/ ) [^\s"'`,;()\[\]{}<>]+ )
        | (?P<word> [A-Za-z0-9_-]* [0-9] [A-Za-z0-9_-]* (?: \.[0-9][A-Za-z0-9_-]* )* )
    "#;
    Regex::new(pattern).expect("the pattern is constant, and a test compiles it")
});

/// The message with what varies replaced: `<text>` for what is quoted,
/// `<path>` for paths and URLs, `<id>` for long hexadecimal words, `#` for
/// every other number. Its first line alone, and at most 256 bytes.
pub(crate) fn fingerprint(message: &str) -> String {
    let line = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let replaced = VARIES.replace_all(cut(line, LOOKED_AT), |found: &Captures<'_>| {
        if found.name("text").is_some() {
            return "<text>".to_owned();
        }
        if found.name("path").is_some() {
            return "<path>".to_owned();
        }
        found.name("word").map_or_else(String::new, |word| word_without_numbers(word.as_str()))
    });
    cut(&replaced, LONGEST).to_owned()
}

fn word_without_numbers(word: &str) -> String {
    let is_hex = |c: char| c.is_ascii_hexdigit() || c == '-';
    let hex = word.strip_prefix("0x").unwrap_or(word);
    let letters = hex.chars().any(|c| c.is_ascii_alphabetic());
    if (hex.len() >= 8 && letters && hex.chars().all(is_hex)) || hex.len() < word.len() {
        return "<id>".to_owned();
    }
    let mut text = String::with_capacity(word.len());
    let mut in_number = false;
    for c in word.chars() {
        let continues = c.is_ascii_digit() || (in_number && c == '.');
        if !continues {
            text.push(c);
        } else if !in_number {
            text.push('#');
        }
        in_number = continues;
    }
    text
}

/// At most so many bytes, cut between characters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_varies_is_left_out() {
        for (message, expected) in [
            ("connection reset", "connection reset"),
            ("timeout after 30s (attempt 3 of 5)", "timeout after #s (attempt # of #)"),
            ("took 2.75 seconds, not 1.5.", "took # seconds, not #."),
            ("no route to 10.0.0.7:4222", "no route to #:#"),
            ("user 'bob' can't log in, isn't known", "user <text> can't log in, isn't known"),
            (r#"bad key "a.b" in `c`"#, "bad key <text> in <text>"),
            ("open /var/lib/x-1/y.db: no such file", "open <path> no such file"),
            ("GET https://api.example/v1/jobs?id=7 gave 503", "GET <path> gave #"),
            (r"can't read C:\jobs\7.txt", "can't read <path>"),
            ("job 0194f3a2-7c1e-7000-8000-00000000abcd failed", "job <id> failed"),
            ("panic at 0x7ffde3: bad", "panic at <id>: bad"),
            ("commit deadbeef42 not found in shard-12", "commit <id> not found in shard-#"),
            ("worker_17/42 died", "worker_#/# died"),
            ("\n  first 1\nsecond 2", "first #"),
            ("", ""),
        ] {
            assert_eq!(fingerprint(message), expected, "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn any_message_has_a_short_fingerprint_without_digits(message in "\\PC{0,400}|(é1){600}") {
            let print = fingerprint(&message);
            prop_assert!(print.len() <= LONGEST);
            prop_assert!(!print.chars().any(|c| c.is_ascii_digit()), "{}", print);
        }
    }
}
