//! Removing messages: one by one, by subject, by sequence, all but the newest.

use std::ops::ControlFlow;

use naq_core::jetstream::{PurgeKeep, PurgeOptions};

use super::filters::Filters;
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
        let keep = match options.keep {
            // Beyond the end a server would move the end; no JetStream of naq asks for that, nor
            // for what keeps everything.
            PurgeKeep::FromSequence(sequence) => match sequence.min(self.store.last() + 1) {
                0 | 1 => return Ok(0),
                sequence => PurgeKeep::FromSequence(sequence),
            },
            keep => keep,
        };
        if self.config.sealed {
            return Err(Refusal::Sealed(self.config.name.clone()));
        }
        if self.config.deny_purge {
            return Err(Refusal::PurgeDenied(self.config.name.clone()));
        }
        Ok(self.purge_by(options.subject.as_deref(), keep))
    }

    /// Removes what a subject and a way of keeping say, whoever wants it.
    pub(crate) fn purge_by(&mut self, subject: Option<&str>, keep: PurgeKeep) -> u64 {
        let filter = subject.filter(|subject| *subject != ">");
        let removed = match (keep, filter) {
            (PurgeKeep::Newest(count), _) if count > 0 => self.keep_newest(filter, count),
            (PurgeKeep::FromSequence(sequence), None) => self.compact(sequence),
            (PurgeKeep::FromSequence(sequence), Some(filter)) => {
                self.remove_where(filter, sequence, u64::MAX)
            }
            (PurgeKeep::Nothing | PurgeKeep::Newest(_), None) => {
                self.compact(self.store.last() + 1)
            }
            (PurgeKeep::Nothing | PurgeKeep::Newest(_), Some(filter)) => {
                self.remove_where(filter, u64::MAX, u64::MAX)
            }
        };
        self.tell_consumers_of_purge(filter);
        removed
    }

    /// Moves the consumers past what a purge can have removed.
    fn tell_consumers_of_purge(&mut self, filter: Option<&str>) {
        if self.consumers.is_empty() {
            return;
        }
        let first = self.store.first();
        let first_left = filter.map_or(Some(first), |filter| {
            Filters::new(&[filter.to_owned()]).next(&self.store, first)
        });
        let first_left = first_left.unwrap_or(self.store.last() + 1);
        for consumer in self.consumers.values_mut() {
            match filter {
                Some(filter) if consumer.filters().any_within(filter) => {
                    consumer.purged(first_left, &self.store);
                }
                Some(filter) if !consumer.filters().cover(filter) => {}
                // It wants more than was purged.
                Some(_) => consumer.purged(first, &self.store),
                None => consumer.purged(first_left, &self.store),
            }
        }
    }

    /// Removes all but the newest of what matches.
    fn keep_newest(&mut self, filter: Option<&str>, count: u64) -> u64 {
        let filter = filter.unwrap_or(">");
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
