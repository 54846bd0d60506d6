//! What to type against an error.
//!
//! The libraries' own hints are for programmers, and good ones for people as
//! long as they name no code; where they do, the command's own stand here.

use naq_core::events::FilterSyntaxError;
use naq_core::{Error, ErrorKind};

use super::line::missing_bucket;

/// What to try where a stream isn't there: often nothing has been logged yet.
const NO_STREAM: &str = "`naq streams ls` shows which there are; the first `naq log`, or \
                         `naq streams ensure`, makes the event stream";

/// What to try where a value breaks a rule that the error names.
pub(super) const CHANGE_THE_VALUE: &str = "change the value";

/// What to try: what to type, else the error's own hint, else what helps
/// against most errors of its kind.
pub(crate) fn hint(error: &Error) -> String {
    if missing_bucket(error).is_some() {
        return "`naq kv buckets` shows which there are, `naq kv create` makes one".to_owned();
    }
    if error.source_as::<FilterSyntaxError>().is_some() {
        return "`naq help explain` shows the language".to_owned();
    }
    if let Some(hint) = of_a_group(error).or_else(|| of_a_cursor(error)) {
        return hint;
    }
    if error.is(ErrorKind::Corrupt) && error.get("list").is_some() {
        return DAMAGED_LIST.to_owned();
    }
    if error.is(ErrorKind::NotFound) && error.get("stream").is_some() {
        return NO_STREAM.to_owned();
    }
    if let Some(hint) = of_a_bucket(error).or_else(|| of_a_log(error)) {
        return hint;
    }
    // A cause that is naq's own error knows best where the outer one has nothing to say.
    match error.hint().or_else(|| error.source_as::<Error>().and_then(Error::hint)) {
        Some(hint) => as_typed(hint),
        None => usual(error).to_owned(),
    }
}

/// What to try where the list of a log's indexes was damaged.
const DAMAGED_LIST: &str = "`naq index drop --all` drops all indexes, `naq index create` makes each of \
                            them anew: the log has all that they are made of";

/// Keys of the configuration that hints name, and what whoever types a command
/// would set instead.
const TYPED: [(&str, &str); 14] = [
    ("`buffer_max_events`", "NAQ_EVENTS_BUFFER_MAX_EVENTS"),
    ("`buffer_max_bytes`", "NAQ_EVENTS_BUFFER_MAX_BYTES"),
    ("`overflow`", "NAQ_EVENTS_OVERFLOW"),
    ("`delivery_timeout`", "NAQ_EVENTS_DELIVERY_TIMEOUT"),
    ("`settle_timeout = \"0s\"`", "NAQ_EVENTS_SETTLE_TIMEOUT=0s"),
    ("`spool.max_bytes`", "NAQ_EVENTS_SPOOL_MAX_BYTES"),
    ("set `subjects` in the section `events` to", "set NAQ_EVENTS_SUBJECTS to"),
    ("name another stream", "another stream (NAQ_EVENTS_STREAM_NAME)"),
    ("inbox_prefix", "NAQ_CONNECTION_INBOX_PREFIX"),
    ("tls_ca_file", "NAQ_CONNECTION_TLS_CA_FILE"),
    ("tls_cert_file", "NAQ_CONNECTION_TLS_CERT_FILE"),
    ("tls_key_file", "NAQ_CONNECTION_TLS_KEY_FILE"),
    ("tls_required", "NAQ_CONNECTION_TLS_REQUIRED=true"),
    ("allow_plaintext_credentials", "NAQ_CONNECTION_ALLOW_PLAINTEXT_CREDENTIALS=true"),
];

/// A library's hint in terms of what is typed.
fn as_typed(hint: &str) -> String {
    TYPED.iter().fold(hint.to_owned(), |hint, (key, typed)| hint.replace(key, typed))
}

/// What to type against an error of a bucket or key.
fn of_a_bucket(error: &Error) -> Option<String> {
    let field = error.get("field").unwrap_or_default();
    if error.is(ErrorKind::InvalidArgument) && ["key", "prefix"].contains(&field) {
        return Some("`naq help kv put` shows how keys look, such as workers.max".to_owned());
    }
    let bucket = error.get("bucket")?;
    let key = error.get("key");
    Some(match (error.kind(), key) {
        (ErrorKind::Conflict, Some(key)) => format!(
            "`naq kv get {bucket} {key} --output json` shows the latest; say its revision with \
             --if-revision"
        ),
        (ErrorKind::AlreadyExists, Some(_)) => {
            "leave out --create to put it whatever it has, or say which revision to replace with \
             --if-revision"
                .to_owned()
        }
        (ErrorKind::Conflict, None) => format!(
            "want no less than it has, or delete it with `naq kv drop {bucket}` and make it anew"
        ),
        (ErrorKind::AlreadyExists, None) => format!(
            "`naq kv ensure {bucket}` with the same options changes it, `naq kv status {bucket}` \
             shows how it is"
        ),
        (ErrorKind::Unsupported, Some(_)) => format!(
            "`naq kv ensure {bucket} --marker-ttl 1h` allows a TTL per key; it needs nats-server \
             2.11 or newer"
        ),
        (ErrorKind::Unsupported, None) => {
            "a TTL per key needs nats-server 2.11 or newer; `naq doctor` shows what the server can"
                .to_owned()
        }
        (ErrorKind::LimitReached, _) => format!(
            "remove keys with `naq kv rm {bucket} KEY --purge`, or make room: `naq kv ensure \
             {bucket} --max-bytes 1GiB`"
        ),
        _ => return None,
    })
}

/// What to type against an error of a group of reactions.
fn of_a_group(error: &Error) -> Option<String> {
    let group = error.get("group")?;
    match (error.kind(), error.hint()) {
        (ErrorKind::NotFound, Some(hint)) if hint.contains("was deleted") => Some(format!(
            "the group was removed: `naq react {group} …` makes it anew, where --since says"
        )),
        (ErrorKind::NotFound, Some(hint)) if hint.contains("an operator") => {
            Some(format!("without --assume, `naq react {group} …` makes it"))
        }
        (ErrorKind::PermissionDenied, Some(hint)) if hint.contains("Assume") => Some(
            "let an operator make the group's consumer and streams, and add --assume".to_owned(),
        ),
        _ => None,
    }
}

/// What to type against an error of a named cursor.
fn of_a_cursor(error: &Error) -> Option<String> {
    let cursor = error.get("cursor")?;
    match (error.kind(), error.hint()) {
        // Without a hint of its own it is the stream that is missing.
        (ErrorKind::NotFound, Some(_)) => {
            Some("`naq cursors ls` shows which there are, `naq cursors set` makes one".to_owned())
        }
        (ErrorKind::Corrupt, _) => Some(format!(
            "`naq cursors set {cursor} beginning` writes it anew (or 2h, now), `naq cursors rm \
             {cursor}` removes it"
        )),
        _ => None,
    }
}

/// What to type against an error of the log or of a stream.
fn of_a_log(error: &Error) -> Option<String> {
    let hint = match error.kind() {
        ErrorKind::LimitReached if error.get("stopped_at_sequence").is_some() => {
            let (option, variable) = match error.hint() {
                Some(hint) if hint.contains("scan_limit_bytes") => {
                    ("--scan-limit-bytes", "NAQ_EVENTS_SCAN_LIMIT_BYTES")
                }
                Some(hint) if hint.contains("scan_limit_time") => {
                    ("--scan-limit-time", "NAQ_EVENTS_SCAN_LIMIT_TIME")
                }
                _ => ("--scan-limit", "NAQ_EVENTS_SCAN_LIMIT"),
            };
            return Some(match error.operation() {
                // What looks at the whole log has no options for it.
                "plan_retention" | "event_sizes" => format!("allow more with {variable}"),
                // Whose it is decides what is read of it, not what of it is shown.
                "get_event_history" => format!("allow more with {option}"),
                "read_events" => {
                    format!("allow more with {option}, or ask for less with --since and --until")
                }
                // Their range is by when events happened: stored they may be at any time.
                _ => format!(
                    "allow more with {option}, or ask for less with `since 1h` in the expression"
                ),
            });
        }
        ErrorKind::Conflict if error.hint().is_some_and(|hint| hint.contains("allow the loss")) => {
            "want no less than it has, or add --allow-loss"
        }
        ErrorKind::Conflict if error.hint().is_some_and(|hint| hint.contains("made anew")) => {
            "want what it has, or delete it with `naq streams rm` and ensure it once more"
        }
        ErrorKind::NotFound if error.hint().is_some_and(|hint| hint.contains("verified")) => {
            "`naq streams ensure` without --verify makes it"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// What helps against most errors of a kind, where the error itself has no hint.
fn usual(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::NotFound => "`naq streams ls` and `naq kv buckets` show what there is",
        ErrorKind::AlreadyExists | ErrorKind::Conflict => {
            "look at how it is now, and decide which of the two is right"
        }
        ErrorKind::InvalidArgument => CHANGE_THE_VALUE,
        ErrorKind::Unsupported => "`naq doctor` shows what the server can do",
        ErrorKind::Unavailable => "check that a server runs there, or name another with --server",
        ErrorKind::Timeout => "try again, or allow more time with --timeout",
        ErrorKind::OutcomeUnknown => {
            "look whether it was carried out; the server can be asked again"
        }
        ErrorKind::TooLarge => "send less at a time, or raise the server's max_payload",
        ErrorKind::LimitReached => "make room, or raise the limit; `naq doctor` shows both",
        ErrorKind::Closed => "run the command again",
        ErrorKind::Corrupt => "look at the raw bytes with `naq export` or `naq kv get`",
        ErrorKind::PermissionDenied => {
            "ask the server's operator for the right, or use other credentials (--creds)"
        }
        ErrorKind::AuthFailed => {
            "check user, password or the credentials file (--creds, NAQ_CREDS)"
        }
        ErrorKind::Config => "docs/configuration.md has every key with its range",
        _ => "run it again with -vv, and report what it says",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_for_programmers_becomes_what_to_type() {
        let of_key = |kind| {
            Error::new(kind, "x", "no")
                .with("bucket", "b")
                .with("key", "k")
                .with_hint("update_with")
        };
        let too_much = |hint| {
            Error::new(ErrorKind::LimitReached, "x", "no")
                .with("stopped_at_sequence", "7")
                .with_hint(hint)
        };
        for (error, words) in [
            (of_key(ErrorKind::Conflict), "naq kv get b k --output json"),
            (of_key(ErrorKind::AlreadyExists), "--create"),
            (of_key(ErrorKind::Unsupported), "naq kv ensure b --marker-ttl"),
            (of_key(ErrorKind::LimitReached), "naq kv ensure b --max-bytes"),
            (
                Error::new(ErrorKind::AlreadyExists, "x", "no").with("bucket", "b"),
                "naq kv ensure b",
            ),
            (Error::invalid("x", "key", "no").with_hint("token::encode"), "naq help kv put"),
            (too_much("raise `scan_limit`, or ask for less"), "--scan-limit,"),
            (too_much("raise `scan_limit_bytes`, or ask for less"), "--scan-limit-bytes,"),
            (too_much("raise `scan_limit_time`, or ask for less"), "--scan-limit-time,"),
        ] {
            assert!(hint(&error).contains(words), "{words}: {}", hint(&error));
        }
    }

    #[test]
    fn a_question_that_reads_too_much_is_told_what_bounds_its_reading() {
        for (operation, advice) in [
            ("get_event_stats", "or ask for less with `since 1h` in the expression"),
            ("query", "or ask for less with `since 1h` in the expression"),
            ("read_events", "or ask for less with --since and --until"),
            ("get_event_history", "allow more with --scan-limit"),
        ] {
            let error = Error::new(ErrorKind::LimitReached, operation, "too much")
                .with("stopped_at_sequence", "7")
                .with_hint("raise `scan_limit`");
            assert!(hint(&error).ends_with(advice), "{operation}: {}", hint(&error));
        }
    }

    #[test]
    fn keys_of_the_configuration_become_what_is_typed() {
        let error = Error::new(ErrorKind::LimitReached, "x", "no room")
            .with_hint("raise `buffer_max_events`, or choose another `overflow`");
        assert_eq!(
            hint(&error),
            "raise NAQ_EVENTS_BUFFER_MAX_EVENTS, or choose another NAQ_EVENTS_OVERFLOW"
        );
        let variables: Vec<(&str, &str)> = TYPED
            .iter()
            .filter_map(|(_, typed)| typed.split_whitespace().find(|word| word.contains("NAQ_")))
            .map(|word| word.trim_matches(['(', ')']))
            .map(|word| word.split_once('=').unwrap_or((word, "")))
            .collect();
        assert_eq!(variables.len(), TYPED.len());
        // An empty value counts as not set; a variable that is none is refused.
        naq_core::config::NaqConfig::from_vars(variables).unwrap();
    }

    #[test]
    fn a_cause_s_hint_stands_in_for_one_that_is_missing() {
        let cause = Error::new(ErrorKind::Conflict, "x", "inner").with_hint("do this");
        let error = Error::new(ErrorKind::Conflict, "y", "outer").with_source(cause);
        assert_eq!(hint(&error), "do this");
    }
}
