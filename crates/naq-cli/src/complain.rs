//! Errors for people: two lines, what happened and what to try.

use std::error::Error as _;
use std::fmt::Display;
use std::io;

use naq_core::{Error, ErrorKind};

use crate::exit::Exit;
use crate::output::{Paint, sanitize};

/// Why a command ends without having done what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody reads the output any more: the end of the work, and nothing to complain about.
    ClosedPipe,
    /// To be told in two lines.
    Complaint(Complaint),
}

/// What happened, and what to try.
#[derive(Debug)]
pub(crate) struct Complaint {
    what: String,
    hint: String,
    exit: Exit,
}

impl Failure {
    /// A use of the command that makes no sense.
    pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::complaint(Exit::Usage, what, hint)
    }

    /// A complaint of one's own.
    pub(crate) fn complaint(exit: Exit, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Complaint(Complaint { what: what.into(), hint: hint.into(), exit })
    }

    /// Adds to an error of reading or writing a file which one it was.
    pub(crate) fn file(action: &str, path: impl Display, error: &io::Error) -> Self {
        Self::complaint(
            if error.kind() == io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed },
            format!("can't {action} {path}: {error}"),
            "check the path and its permissions",
        )
    }

    /// The same with more to try, where there is anything to try.
    pub(crate) fn with_more_to_try(mut self, more: &str) -> Self {
        if let Self::Complaint(complaint) = &mut self {
            complaint.hint.push_str(more);
        }
        self
    }

    /// The same with another exit code, where there is something to complain about.
    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        if let Self::Complaint(complaint) = &mut self {
            complaint.exit = exit;
        }
        self
    }

    /// Tells it on standard error, and says how to end.
    pub(crate) fn tell(self, to: &mut dyn io::Write, paint: Paint) -> Exit {
        match self {
            Self::ClosedPipe => Exit::Done,
            Self::Complaint(Complaint { what, hint, exit }) => {
                // Where standard error is closed too there is nobody left to tell.
                let _ = writeln!(to, "{} {}", paint.bad("error:"), sanitize(&what));
                let _ = writeln!(to, "  {} {}", paint.dim("try:"), sanitize(&hint));
                exit
            }
        }
    }
}

impl Complaint {
    /// What happened.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// What to try.
    pub(crate) fn hint(&self) -> &str {
        &self.hint
    }

    /// How the program ends.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::complaint(Exit::from(error.kind()), what(&error), hint(&error))
    }
}

impl From<io::Error> for Failure {
    /// An error of writing to standard output.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        Self::complaint(
            Exit::Failed,
            format!("can't write the output: {error}"),
            "check the room on the disk it goes to",
        )
    }
}

/// What to try where a stream isn't there: often nothing has been logged yet.
const NO_STREAM: &str = "`naq streams ls` shows which there are; the first `naq log`, or \
                         `naq streams ensure`, makes the event stream";

/// What a person need not know to act: the code of the server's own error, and
/// which service passed it on.
const NOT_TOLD: [&str; 3] = ["error_code", "service", "field"];

/// The error and what is behind it, in one line.
pub(crate) fn what(error: &Error) -> String {
    if let Some(bucket) = missing_bucket(error) {
        return format!("there is no bucket {bucket}");
    }
    let mut line = reason(error);
    let facts: Vec<String> = error
        .context()
        .iter()
        .filter(|(key, _)| !NOT_TOLD.contains(key))
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    if !facts.is_empty() {
        line = format!("{line} ({})", facts.join(", "));
    }
    if let Some(inner) = error.source_as::<Error>() {
        // An error of naq's own is told as one, without the operation it was in.
        let inner = what(inner);
        return if line.contains(&inner) { line } else { format!("{line}: {inner}") };
    }
    let mut told = vec![error.message().to_owned()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // A cause that says the same in more or fewer words adds nothing.
        if !line.contains(&text) && !told.iter().any(|told| text.contains(told)) {
            line = format!("{line}: {text}");
            told.push(text);
        }
        source = cause.source();
    }
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A bucket is a stream to the server, which says so; to people it is a bucket.
fn missing_bucket(error: &Error) -> Option<&str> {
    let no_stream = error.is(ErrorKind::NotFound) && error.get("stream").is_some();
    no_stream.then(|| error.get("bucket")).flatten()
}

/// What is wrong in itself: the field and the rule, or what happened.
pub(crate) fn reason(error: &Error) -> String {
    match error.get("field") {
        Some(field) => format!("{field} {}", error.message()),
        None if error.message().is_empty() => error.kind().to_string(),
        None if error.is(ErrorKind::Unexpected) => {
            format!("{}: {}", error.operation(), error.message())
        }
        None => error.message().to_owned(),
    }
}

/// What to try: the error's own hint, or what helps against most errors of its kind.
pub(crate) fn hint(error: &Error) -> String {
    match error.hint() {
        _ if missing_bucket(error).is_some() => {
            "`naq kv buckets` shows which there are, `naq kv create` makes one".to_owned()
        }
        _ if error.is(ErrorKind::NotFound) && error.get("stream").is_some() => NO_STREAM.to_owned(),
        Some(hint) => hint.to_owned(),
        None => usual_hint(error),
    }
}

/// What helps against most errors of a kind, where the error itself has no hint.
fn usual_hint(error: &Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "`naq streams ls` and `naq kv buckets` show what there is",
        ErrorKind::AlreadyExists | ErrorKind::Conflict => {
            "look at how it is now, and decide which of the two is right"
        }
        ErrorKind::InvalidArgument => "change the value; `naq help` shows examples",
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
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(failure: Failure) -> (String, Exit) {
        let mut text = Vec::new();
        let exit = failure.tell(&mut text, Paint::plain());
        (String::from_utf8(text).unwrap(), exit)
    }

    #[test]
    fn an_error_is_two_lines_what_and_what_to_try() {
        let error = Error::new(ErrorKind::NotFound, "get", "no such message")
            .with("error_code", "10037")
            .with("sequence", "7")
            .with_hint("look for it elsewhere")
            .with_source(io::Error::other("no such message (code 10037)"));
        let (text, exit) = told(error.into());
        assert_eq!(text, "error: no such message (sequence: 7)\n  try: look for it elsewhere\n");
        assert_eq!(exit, Exit::NotFound);
    }

    #[test]
    fn an_invalid_argument_names_the_field_and_the_rule_and_a_cause_follows() {
        let error = Error::invalid("x", "duration", "must not be negative")
            .with_source(io::Error::other("-1"));
        assert!(told(error.into()).0.starts_with("error: duration must not be negative: -1\n"));
    }

    #[test]
    fn every_kind_of_error_has_something_to_try_and_a_line_each() {
        for kind in [ErrorKind::Config, ErrorKind::Unexpected, ErrorKind::TooLarge] {
            let (text, _) = told(Error::new(kind, "x", "line\nbreak").into());
            assert_eq!(text.lines().count(), 2, "{text}");
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let (text, exit) = told(io::Error::from(io::ErrorKind::BrokenPipe).into());
        assert_eq!((text.as_str(), exit), ("", Exit::Done));
    }
}
