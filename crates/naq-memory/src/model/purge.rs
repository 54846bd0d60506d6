//! Removing messages: one by one, by subject, by sequence, all but the newest.

use std::ops::ControlFlow;

use naq_core::jetstream::{PurgeKeep, PurgeOptions};

use super::refusal::Refusal;
use super::stream::Stream;

impl Stream {
    /// Removes one message on somebody's behest.
    pub(crate) fn delete_message(&mut self, sequence: u64) -> Result<(), Refusal> {
        if self.config.sealed {
            return Err(Refusal::Sealed(self.config.name.clone()));
        }
        if self.config.deny_delete {
            return Err(Refusal::DeleteDenied(self.config.name.clone()));
        }
        if self.remove(sequence) { Ok(()) } else { Err(Refusal::NoMessage) }
    }

    /// Removes what the options say and tells how many.
    pub(crate) fn purge(&mut self, options: &PurgeOptions) -> Result<u64, Refusal> {
        if self.config.sealed {
            return Err(Refusal::Sealed(self.config.name.clone()));
        }
        if self.config.deny_purge {
            return Err(Refusal::PurgeDenied(self.config.name.clone()));
        }
        let subject = options.subject.as_deref().filter(|subject| *subject != ">");
        Ok(match options.keep {
            PurgeKeep::FromSequence(0 | 1) => 0,
            PurgeKeep::Newest(count) if count > 0 => self.keep_newest(subject, count),
            PurgeKeep::FromSequence(sequence) => match subject {
                Some(filter) => self.remove_where(filter, sequence, u64::MAX),
                // Beyond the end a server would move the end; no JetStream of naq asks for that.
                None => self.compact(sequence.min(self.store.last() + 1)),
            },
            PurgeKeep::Nothing | PurgeKeep::Newest(_) => match subject {
                Some(filter) => self.remove_where(filter, u64::MAX, u64::MAX),
                None => self.compact(self.store.last() + 1),
            },
        })
    }

    /// Removes all but the newest of what matches.
    pub(crate) fn keep_newest(&mut self, subject: Option<&str>, count: u64) -> u64 {
        let filter = subject.unwrap_or(">");
        let mut matching = 0;
        let _: ControlFlow<()> = self.store.subjects().visit(filter, |_, sequences| {
            matching += sequences.len() as u64;
            ControlFlow::Continue(())
        });
        self.remove_where(filter, u64::MAX, matching.saturating_sub(count))
    }

    /// Removes, oldest first, at most `most` messages that match and lie below a sequence.
    fn remove_where(&mut self, filter: &str, below: u64, most: u64) -> u64 {
        if most == 0 {
            return 0;
        }
        let mut found = Vec::new();
        let _: ControlFlow<()> = self.store.subjects().visit(filter, |_, sequences| {
            found.extend(sequences.iter().copied().take_while(|sequence| *sequence < below));
            ControlFlow::Continue(())
        });
        found.sort_unstable();
        found.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        for sequence in &found {
            self.remove(*sequence);
        }
        found.len() as u64
    }

    /// Removes all below a sequence.
    fn compact(&mut self, sequence: u64) -> u64 {
        let mut removed = 0;
        while self.store.messages() > 0 && self.store.first() < sequence {
            self.remove(self.store.first());
            removed += 1;
        }
        removed
    }
}
