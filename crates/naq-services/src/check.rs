//! What a check of the services found.

use std::fmt;

use naq_core::{Error, ErrorKind, Result};

/// Everything that is wrong at once, and the order in which the services would start.
#[derive(Debug, Clone)]
#[must_use]
#[non_exhaustive]
pub struct CheckReport {
    /// What is wrong, each with a hint.
    pub problems: Vec<Error>,
    /// The names of the services in the order in which they start; they stop
    /// in the reverse one. Meaningful once nothing is wrong.
    pub start_order: Vec<&'static str>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    /// Nothing, or one error that tells all problems with what to do about each.
    ///
    /// # Errors
    /// `Config`; a single problem as it is.
    pub fn into_result(mut self) -> Result<()> {
        match self.problems.len() {
            0 => Ok(()),
            1 => Err(self.problems.remove(0)),
            count => {
                let message = format!("{count} problems: {}", Numbered(&self.problems, false));
                let hints = Numbered(&self.problems, true).to_string();
                Err(Error::new(ErrorKind::Config, "check", message).with_hint(hints))
            }
        }
    }
}

impl fmt::Display for CheckReport {
    /// A line for each problem and its hint, or the order of the start.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ok() {
            return write!(f, "start order: {}", self.start_order.join(", "));
        }
        for (i, problem) in self.problems.iter().enumerate() {
            let line_end = if i == 0 { "" } else { "\n" };
            write!(f, "{line_end}{}. {problem}", i + 1)?;
            if let Some(hint) = problem.hint() {
                write!(f, "\n   try: {hint}")?;
            }
        }
        Ok(())
    }
}

/// The problems, or their hints, in one line.
struct Numbered<'a>(&'a [Error], bool);

impl fmt::Display for Numbered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(problems, hints) = self;
        let mut separator = "";
        for (i, problem) in problems.iter().enumerate() {
            match problem.hint() {
                Some(hint) if *hints => write!(f, "{separator}({}) {hint}", i + 1)?,
                None if *hints => continue,
                _ => write!(f, "{separator}({}) {problem}", i + 1)?,
            }
            separator = " ";
        }
        Ok(())
    }
}
