//! The account of `naq log FILE`.

use std::io;
use std::time::Duration;

use naq_core::Error;
use naq_core::events::EventCounters;
use serde::Serialize;

use super::SPOOLED;
use crate::commands::{Context, Outcome};
use crate::complain::Failure;
use crate::exit::Exit;
use crate::output::human;

/// How the reading of lines ended.
#[derive(Debug, Default)]
pub(crate) enum End {
    /// At the end of the lines.
    #[default]
    Whole,
    /// By Ctrl-C.
    Interrupted,
    /// The lines can't be read any further.
    Unreadable(io::Error),
    /// There was no sense in going on.
    Stopped(Error),
}

/// What became of the lines.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Lines that are not blank.
    pub(crate) lines: u64,
    /// Stored, those that the log had already included.
    pub(crate) stored: u64,
    /// Those that the log had already.
    pub(crate) duplicates: u64,
    /// In the spool: safe, and stored later.
    pub(crate) spooled: u64,
    /// Rejected, each told by its number.
    pub(crate) rejected: u64,
    /// Not stored, or not known to be, because the log could not be written to.
    pub(crate) not_stored: u64,
    /// The first of them.
    pub(crate) first_not_stored: Option<u64>,
    /// The service's own account of what it was given, at its end.
    pub(crate) account: EventCounters,
    /// How it ended.
    pub(crate) end: End,
    /// How long it took.
    pub(crate) took: Duration,
}

/// The account as JSON.
#[derive(Debug, Serialize)]
struct Account {
    lines: u64,
    stored: u64,
    duplicates: u64,
    spooled: u64,
    rejected: u64,
    not_stored: u64,
    /// Whether all lines were read.
    read_to_end: bool,
    account: Counters,
}

/// What became of the events that the service was given.
#[derive(Debug, Serialize)]
struct Counters {
    offered: u64,
    acked: u64,
    failed: u64,
    unknown: u64,
    dropped: u64,
    rejected: u64,
    spooled: u64,
    possible_duplicates: u64,
}

impl Counters {
    fn of(account: &EventCounters) -> Self {
        Self {
            offered: account.offered + account.recovered,
            acked: account.acked,
            failed: account.failed,
            unknown: account.unknown + account.pending,
            dropped: account.dropped,
            rejected: account.rejected,
            spooled: account.spooled,
            possible_duplicates: account.possible_duplicates,
        }
    }

    /// The account in words, unless all that was offered is stored once.
    fn in_words(&self) -> Option<String> {
        let parts: Vec<String> = [
            (self.acked, "acknowledged"),
            (self.failed, "not stored"),
            (self.unknown, "stored or not, nobody knows"),
            (self.dropped, "dropped for want of room"),
            (self.rejected, "rejected"),
            (self.spooled, "in the spool"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", human::count(count)))
        .collect();
        let twice = match self.possible_duplicates {
            0 if self.acked == self.offered => return None,
            0 => String::new(),
            some => format!("; {} may be stored twice", human::count(some)),
        };
        let offered = human::counted(self.offered, "event");
        Some(format!("account: {offered} offered, {}{twice}", parts.join(", ")))
    }
}

impl Tally {
    /// Tells the counts, and says how to end.
    ///
    /// # Errors
    /// Why it did not come to the end of the lines.
    pub(crate) fn tell(self, context: &mut Context) -> Outcome {
        if !context.output.is_table() {
            context.output.json_line(&Account {
                lines: self.lines,
                stored: self.stored,
                duplicates: self.duplicates,
                spooled: self.spooled,
                rejected: self.rejected,
                not_stored: self.not_stored,
                read_to_end: matches!(self.end, End::Whole),
                account: Counters::of(&self.account),
            })?;
        }
        context.notes.line(&self.in_words());
        if let Some(account) = Counters::of(&self.account).in_words() {
            context.notes.line(&account);
        }
        if self.spooled > 0 {
            context.notes.line(SPOOLED);
        }
        let exit = self.exit();
        let from = self.first_not_stored.map_or_else(String::new, |line| {
            format!("; from line {line} on: `tail -n +{line} FILE | naq log -`")
        });
        match self.end {
            End::Whole => Ok(exit),
            End::Interrupted => {
                context.notes.line("interrupted: what follows was not read");
                Ok(if exit == Exit::Done { Exit::Partly } else { exit })
            }
            End::Unreadable(error) => Err(Failure::complaint(
                if self.stored > 0 { Exit::Partly } else { Exit::Failed },
                format!("can't read on: {error}"),
                "look at the file, or at the program that writes into the pipe",
            )),
            End::Stopped(error) => {
                let stored = self.stored > 0;
                let failure = Failure::from(error).with_more_to_try(&from);
                Err(if stored { failure.with_exit(Exit::Partly) } else { failure })
            }
        }
    }

    /// How many lines have no outcome yet.
    pub(super) fn under_way(&self) -> u64 {
        let told = self.stored + self.spooled + self.rejected + self.not_stored;
        self.lines.saturating_sub(told)
    }

    fn exit(&self) -> Exit {
        match (self.stored + self.spooled, self.rejected + self.not_stored) {
            (_, 0) => Exit::Done,
            (0, _) => Exit::Failed,
            _ => Exit::Partly,
        }
    }

    fn in_words(&self) -> String {
        let mut text = format!(
            "stored {} of {} in {}",
            human::count(self.stored),
            human::counted(self.lines, "event"),
            human::duration(self.took)
        );
        if self.stored > 1
            && let Some(rate) = human::rate(self.stored, self.took, "event")
        {
            text.push_str(&format!(", {rate}"));
        }
        let were = if self.duplicates == 1 { "was" } else { "were" };
        for (count, what) in [
            (self.duplicates, &*format!("{were} in the log already")),
            (self.spooled, "in the spool"),
            (self.rejected, "rejected"),
            (self.not_stored, "not stored, or not known to be"),
        ] {
            if count > 0 {
                text.push_str(&format!("; {} {what}", human::count(count)));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_whether_all_some_or_none_was_stored() {
        let tally = |stored, rejected| Tally { stored, rejected, ..Tally::default() }.exit();
        assert_eq!(tally(2, 0), Exit::Done);
        assert_eq!(tally(2, 1), Exit::Partly);
        assert_eq!(tally(0, 1), Exit::Failed);
        assert_eq!(tally(0, 0), Exit::Done);
        assert_eq!(Tally { spooled: 2, ..Tally::default() }.exit(), Exit::Done);
    }

    #[test]
    fn what_was_offered_and_is_not_stored_is_named() {
        let mut account = EventCounters::default();
        (account.offered, account.acked) = (9, 9);
        assert_eq!(Counters::of(&account).in_words(), None);
        (account.acked, account.failed, account.dropped, account.unknown) = (5, 1, 2, 1);
        assert_eq!(
            Counters::of(&account).in_words().unwrap(),
            "account: 9 events offered, 5 acknowledged, 1 not stored, \
             1 stored or not, nobody knows, 2 dropped for want of room"
        );
    }

    #[test]
    fn the_account_names_only_what_there_is() {
        let tally = Tally { lines: 3, stored: 2, rejected: 1, ..Tally::default() };
        assert_eq!(tally.in_words(), "stored 2 of 3 events in 0 s; 1 rejected");
        let tally = Tally { lines: 1, stored: 1, duplicates: 1, ..Tally::default() };
        assert_eq!(tally.in_words(), "stored 1 of 1 event in 0 s; 1 was in the log already");
    }
}
