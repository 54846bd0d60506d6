//! Asking before something is deleted.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::complain::Failure;
use crate::exit::Exit;

/// Asks on the terminal; the default is no.
///
/// # Errors
/// Usage, where nobody can answer; a failure where the answer is no.
pub(crate) fn confirm(question: &str) -> Result<(), Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::usage(
            format!("this needs a yes, and there is no terminal to ask: {question}"),
            "add --yes if that is what you want",
        ));
    }
    let mut stderr = io::stderr();
    let asked = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    // A line that can't be read is no yes.
    let read = asked.and_then(|()| stdin.lock().read_line(&mut answer));
    match (read, answer.trim().to_ascii_lowercase().as_str()) {
        (Ok(_), "y" | "yes") => Ok(()),
        _ => Err(Failure::complaint(
            Exit::Failed,
            "nothing was removed: the answer was no",
            "run it again and answer y, or add --yes",
        )),
    }
}
