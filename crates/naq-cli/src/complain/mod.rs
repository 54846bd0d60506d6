//! Errors for people: two lines, what happened and what to try; between them
//! the place, where something typed can't be read.
//!
//! - `line`: an error of the services in one line
//! - `hint`: what to type against it
//! - `usage`: a command line that can't be understood

mod hint;
mod line;
mod usage;

use std::fmt::Display;
use std::io;

use naq_core::Error;
use naq_core::events::FilterSyntaxError;

use crate::exit::Exit;
use crate::output::{Paint, sanitize};

use hint::CHANGE_THE_VALUE;
pub(crate) use hint::hint;
pub(crate) use line::what;
pub(crate) use usage::{help_of, not_understood};

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
    /// What was typed, and below it a caret at the place that is wrong.
    excerpt: Option<String>,
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
        Self::Complaint(Complaint { what: what.into(), excerpt: None, hint: hint.into(), exit })
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

    /// The same with the help that shows how a value looks, where that is all there is to try.
    pub(crate) fn with_help(mut self, help: impl FnOnce() -> String) -> Self {
        if let Self::Complaint(complaint) = &mut self
            && complaint.hint == CHANGE_THE_VALUE
        {
            complaint.hint = format!("{CHANGE_THE_VALUE}; `{}` shows examples", help());
        }
        self
    }

    /// Tells it on standard error, and says how to end.
    pub(crate) fn tell(self, to: &mut dyn io::Write, paint: Paint) -> Exit {
        match self {
            Self::ClosedPipe => Exit::Done,
            Self::Complaint(Complaint { what, excerpt, hint, exit }) => {
                // Where standard error is closed too there is nobody left to tell.
                let _ = writeln!(to, "{} {}", paint.bad("error:"), sanitize(&what));
                for line in excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
                    let _ = writeln!(to, "    {}", sanitize(line));
                }
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
        Self::Complaint(Complaint {
            what: what(&error),
            excerpt: error.source_as::<FilterSyntaxError>().map(FilterSyntaxError::excerpt),
            hint: hint(&error),
            exit: Exit::from(error.kind()),
        })
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

#[cfg(test)]
mod tests {
    use naq_core::ErrorKind;

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
    fn every_kind_of_error_has_something_to_try_and_a_line_each() {
        for kind in [ErrorKind::Config, ErrorKind::Unexpected, ErrorKind::TooLarge] {
            let (text, _) = told(Error::new(kind, "x", "line\nbreak").into());
            assert_eq!(text.lines().count(), 2, "{text}");
        }
    }

    #[test]
    fn a_wrong_value_is_told_with_the_help_of_its_command() {
        let failure = Failure::from(Error::invalid("x", "job_id", "must not be empty"));
        let (text, _) = told(failure.with_help(|| "naq help log".to_owned()));
        assert!(text.ends_with("  try: change the value; `naq help log` shows examples\n"));
        let failure = Failure::usage("no", "do this").with_help(|| "naq help log".to_owned());
        assert!(told(failure).0.ends_with("  try: do this\n"));
    }

    #[test]
    fn a_filter_that_can_t_be_read_is_shown_with_its_place() {
        let error = naq_core::events::Filter::parse("type = a and").unwrap_err();
        let (text, exit) = told(error.into());
        assert_eq!(exit, Exit::Usage);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("error: expected a field"), "{text}");
        assert_eq!(lines[1..3], ["    type = a and", "                ^"]);
        assert_eq!(lines[3], "  try: `naq help explain` shows the language");
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let (text, exit) = told(io::Error::from(io::ErrorKind::BrokenPipe).into());
        assert_eq!((text.as_str(), exit), ("", Exit::Done));
    }
}
