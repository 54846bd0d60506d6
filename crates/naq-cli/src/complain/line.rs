//! An error of the services, and what is behind it, in one line.

use std::error::Error as _;

use naq_core::events::FilterSyntaxError;
use naq_core::{Error, ErrorKind};

/// What a person need not know to act: the code of the server's own error, and
/// which service passed it on.
const NOT_TOLD: [&str; 3] = ["error_code", "service", "field"];

/// The error and what is behind it, in one line.
pub(crate) fn what(error: &Error) -> String {
    if let Some(bucket) = missing_bucket(error) {
        return format!("there is no bucket {bucket}");
    }
    if let Some(syntax) = error.source_as::<FilterSyntaxError>() {
        return syntax.to_string();
    }
    let mut line = reason(error);
    // Whoever knows a bucket need not know the stream that it is to the server.
    let of_a_bucket = error.get("bucket").is_some();
    let facts: Vec<String> = error
        .context()
        .iter()
        .filter(|(key, _)| !NOT_TOLD.contains(key))
        .filter(|(key, _)| !of_a_bucket || !["stream", "subject"].contains(key))
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    if !facts.is_empty() {
        line = format!("{line} ({})", facts.join(", "));
    }
    if of_a_bucket && error.is(ErrorKind::AlreadyExists) {
        return line;
    }
    if let Some(inner) = error.source_as::<Error>() {
        // An error of naq's own is told as one, without the operation it was in.
        let inner = what(inner);
        return if line.contains(&inner) { line } else { format!("{line}: {inner}") };
    }
    let mut source = error.source();
    while let Some(cause) = source {
        line = with_cause(line, error.message(), &cause.to_string());
        source = cause.source();
    }
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The line with what a cause adds to it: many errors say their own cause once
/// more, or the same in more or fewer words.
fn with_cause(mut line: String, message: &str, cause: &str) -> String {
    let message = message.to_lowercase();
    for part in cause.split(": ") {
        let known = line.to_lowercase();
        let says_more = !known.contains(&part.to_lowercase())
            && (message.is_empty() || !part.to_lowercase().contains(&message))
            // The server's own errors begin so.
            && part != "nats";
        if says_more {
            line = format!("{line}: {part}");
        }
    }
    line
}

/// A bucket is a stream to the server, which says so; to people it is a bucket.
pub(super) fn missing_bucket(error: &Error) -> Option<&str> {
    let no_stream = error.is(ErrorKind::NotFound)
        && (error.get("stream").is_some() || error.get("subject").is_some());
    no_stream.then(|| error.get("bucket")).flatten()
}

/// What is wrong in itself: the field and the rule, or what happened.
fn reason(error: &Error) -> String {
    match error.get("field") {
        Some(field) => format!("{field} {}", error.message()),
        None if error.message().is_empty() => error.kind().to_string(),
        None if error.is(ErrorKind::Unexpected) => {
            format!("{}: {}", error.operation(), error.message())
        }
        None => error.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_invalid_argument_names_the_field_and_the_rule_and_a_cause_follows() {
        let error = Error::invalid("x", "duration", "must not be negative")
            .with_source(io::Error::other("-1"));
        assert_eq!(what(&error), "duration must not be negative: -1");
    }

    #[test]
    fn a_cause_is_told_once() {
        let error = |cause: &str| {
            Error::new(ErrorKind::AuthFailed, "connect", "the credentials are not accepted")
                .with_source(io::Error::other(cause.to_owned()))
        };
        for (cause, line) in [
            (
                "authorization violation: nats: Authorization Violation",
                "the credentials are not accepted: authorization violation",
            ),
            ("The credentials are not accepted (code 3)", "the credentials are not accepted"),
            ("expired: on Monday", "the credentials are not accepted: expired: on Monday"),
        ] {
            assert_eq!(what(&error(cause)), line);
        }
    }
}
