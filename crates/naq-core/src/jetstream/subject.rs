//! Subjects and the filters that match them.

use crate::{Error, Result};

/// The longest subject that naq sends, in bytes; the server closes the
/// connection at a control line of 4,096.
pub const MAX_SUBJECT_BYTES: usize = 2_048;

/// Checks a subject to publish to: tokens that aren't empty, joined by `.`,
/// without wildcards, white space or control characters.
///
/// # Errors
/// `InvalidArgument` that names the rule.
pub fn check_subject(operation: &'static str, subject: &str) -> Result<()> {
    check(operation, subject, false)
}

/// Checks a filter: a subject in which `*` stands for one token and `>`, as
/// the last, for one or more.
///
/// # Errors
/// `InvalidArgument` that names the rule.
pub fn check_filter(operation: &'static str, filter: &str) -> Result<()> {
    check(operation, filter, true)
}

fn check(operation: &'static str, subject: &str, wildcards: bool) -> Result<()> {
    if is_plain(subject) { Ok(()) } else { check_closely(operation, subject, wildcards) }
}

fn check_closely(operation: &'static str, subject: &str, wildcards: bool) -> Result<()> {
    let refused = |rule| Err(Error::invalid(operation, "subject", rule).with("value", subject));
    if subject.is_empty() {
        return refused("must not be empty");
    }
    if subject.len() > MAX_SUBJECT_BYTES {
        return Err(Error::invalid(operation, "subject", "must have at most 2048 bytes")
            .with("bytes", subject.len().to_string()));
    }
    if subject.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return refused("must not contain white space or control characters");
    }
    let mut tokens = subject.split('.').peekable();
    while let Some(token) = tokens.next() {
        match token {
            "" => return refused("must not have an empty token"),
            "*" | ">" if !wildcards => return refused("must not have a wildcard"),
            ">" if tokens.peek().is_some() => return refused("may have `>` at its end only"),
            _ => {}
        }
    }
    Ok(())
}

/// Whether nothing of a subject needs a closer look, which is so of nearly all.
///
/// Each published message passes here: the loops have no branches, so that the
/// compiler makes them look at many bytes at once.
fn is_plain(subject: &str) -> bool {
    let bytes = subject.as_bytes();
    let special = |byte: u8| (byte <= b' ') | (byte == 0x7f) | (byte == b'*') | (byte == b'>');
    let has_special = bytes.iter().fold(false, |found, &byte| found | special(byte));
    let behind = bytes.get(1..).unwrap_or_default();
    let has_empty_token = bytes
        .iter()
        .zip(behind)
        .fold(false, |found, (&one, &next)| found | ((one == b'.') & (next == b'.')));
    let (first, last) = (bytes.first(), bytes.last());
    !has_special
        && !has_empty_token
        && first.is_some_and(|&byte| byte != b'.')
        && last.is_some_and(|&byte| byte != b'.')
        && bytes.len() <= MAX_SUBJECT_BYTES
}

/// Whether a filter matches a subject.
///
/// ```
/// use naq_core::jetstream::subject_matches;
///
/// assert!(subject_matches("events.*.job-1", "events.job_started.job-1"));
/// assert!(subject_matches("events.>", "events.log"));
/// assert!(!subject_matches("events.>", "events"));
/// ```
#[must_use]
pub fn subject_matches(filter: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for want in filter.split('.') {
        match (want, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (want, Some(token)) if want == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

/// Whether some subject matches both filters.
#[must_use]
pub fn filters_overlap(a: &str, b: &str) -> bool {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
            (Some("*"), Some(_)) | (Some(_), Some("*")) => {}
            (Some(x), Some(y)) if x == y => {}
            _ => return false,
        }
    }
}

/// Whether one filter is the beginning of another one, as `a.b` is of `a.b.>`.
///
/// Servers before 2.11 begin a consumer of such filters at the first message of
/// the longer one, and leave out what the shorter one has before it.
#[must_use]
pub fn filters_are_nested(filters: &[String]) -> bool {
    filters.iter().any(|longer| {
        filters
            .iter()
            .filter_map(|shorter| longer.strip_prefix(shorter.as_str()))
            .any(|rest| rest.starts_with('.'))
    })
}

/// Whether each subject that matches `inner` matches `outer` too.
#[must_use]
pub fn filter_covers(outer: &str, inner: &str) -> bool {
    let (mut outer, mut inner) = (outer.split('.'), inner.split('.'));
    loop {
        match (outer.next(), inner.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(x), Some(y)) if x == y => {}
            _ => return false,
        }
    }
}

/// Checks the name of a stream or consumer.
///
/// # Errors
/// `InvalidArgument` that names `field` and the rule.
pub fn check_name(operation: &'static str, field: &'static str, name: &str) -> Result<()> {
    let bad =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '.' | '*' | '>' | '/' | '\\');
    let rule = if name.is_empty() {
        "must not be empty"
    } else if name.len() > 255 {
        "must have at most 255 bytes"
    } else if name.contains(bad) {
        "must not contain white space, control characters or any of . * > / \\"
    } else {
        return Ok(());
    };
    Err(Error::invalid(operation, field, rule).with("value", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_closer_look_would_pass_one() {
        let mut subjects = vec![String::new(), "a".repeat(MAX_SUBJECT_BYTES + 1)];
        for at in 0..4_000 {
            let Some(shorter) = subjects.get(at).cloned() else { break };
            if shorter.len() < 5 {
                subjects.extend("ab.*> \u{7f}".chars().map(|c| format!("{shorter}{c}")));
            }
        }
        let (mut plain, mut other) = (0, 0);
        for subject in &subjects {
            let passes = check_closely("publish", subject, false).is_ok();
            if is_plain(subject) {
                assert!(passes, "{subject:?}");
                plain += 1;
            } else {
                assert!(!passes || subject.contains(['*', '>']), "{subject:?}");
                other += 1;
            }
        }
        assert!(plain > 50 && other > 1_000, "{plain} {other}");
    }

    #[test]
    fn matching_goes_token_by_token() {
        for (filter, subject, want) in [
            ("a.b", "a.b", true),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a", true),
            ("*", "a.b", false),
            ("a.b", "a", false),
        ] {
            assert_eq!(subject_matches(filter, subject), want, "{filter} {subject}");
        }
    }

    #[test]
    fn overlap_is_symmetric_and_cover_is_not() {
        for (a, b, overlap, covers) in [
            ("a.>", "a.*", true, true),
            ("a.*", "a.>", true, false),
            ("a.*.c", "a.b.*", true, false),
            ("a.b", "a.c", false, false),
            ("a.>", "a", false, false),
            ("*.b", "a.b", true, true),
        ] {
            assert_eq!(filters_overlap(a, b), overlap, "{a} {b}");
            assert_eq!(filters_overlap(b, a), overlap, "{b} {a}");
            assert_eq!(filter_covers(a, b), covers, "{a} {b}");
        }
    }

    #[test]
    fn what_would_break_the_protocol_is_refused() {
        for subject in ["", "a..b", ".a", "a.", "a b", "a\r\nPUB x 1", "a.*", ">", "a\0"] {
            assert!(check_subject("publish", subject).is_err(), "{subject:?}");
        }
        assert!(check_subject("publish", &"x".repeat(MAX_SUBJECT_BYTES + 1)).is_err());
        assert!(check_filter("read", "a.>.b").is_err());
        check_filter("read", "a.*.>").unwrap();
        check_subject("publish", "$JS.x.ä").unwrap();
    }

    #[test]
    fn names_have_no_dots() {
        check_name("create_stream", "stream", "KV_jobs-1").unwrap();
        for name in ["", "a.b", "a b", "a*", "a/b", "a\\b"] {
            assert!(check_name("create_stream", "stream", name).is_err(), "{name:?}");
        }
    }
}
