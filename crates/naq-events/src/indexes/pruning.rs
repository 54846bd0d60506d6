//! Leaving out of indexes what has left the log from its midst: events of a
//! type that is kept for less long than others.
//!
//! What an index names is asked of the server, whether it is there or not. A
//! block much of which is gone is made anew without that: by who builds an
//! index, and by who keeps the log, in rounds over all blocks. How much of a
//! block is gone is told by a few of its messages; then the headers of those
//! that are left say which they are.

use futures::StreamExt;
use naq_core::jetstream::{
    Consistency, Delivery, GetMessages, ReadOptions, ReadStart, ReadUntil, StreamState, WhichMany,
    is_no_message,
};
use naq_core::{ErrorKind, Result, Timestamp};
use roaring::RoaringBitmap;

use super::block::IndexBlock;
use super::definition::Definition;
use super::draft::Draft;
use super::kept::Indexes;
use crate::digests::{block_of, block_start};
use crate::read::{Log, OpenLog};

/// How many of a block's messages are asked for, to tell how much of it is gone.
const PROBES: usize = 64;

/// A block is not made anew for fewer that are gone, and not looked at for a
/// smaller part of it than one of so many.
const LEAST: u64 = 1_000;
const PART: usize = 4;

/// The next round begins when one of so many messages of the log has gone.
const ROUND: u64 = 64;

/// The rounds of who keeps a log.
#[derive(Debug, Default)]
pub(super) struct Pruning {
    /// When the log was made, and the turn in which it was looked at.
    of: (Timestamp, u64),
    /// How many messages had left the log when the last round began.
    gone: u64,
    /// The block that is looked at next; `None` between rounds.
    next: Option<u64>,
}

impl Pruning {
    /// Looks on at the indexes of one block, where a round is due; `true`
    /// where there is more to do at once.
    pub(super) async fn look(
        &mut self,
        indexes: &Indexes,
        log: &Log,
        open: &OpenLog,
        list: &[Definition],
    ) -> Result<bool> {
        let state = &open.info.state;
        let of = (open.info.created, open.turn());
        if self.of != of {
            *self = Self { of, ..Self::default() };
        }
        let Some(block) = self.due(state).filter(|_| !list.is_empty()) else { return Ok(false) };
        indexes.prune(log, open, list, block).await?;
        self.next = (block < block_of(state.last_sequence)).then_some(block + 1);
        Ok(self.next.is_some())
    }

    /// The block that is to be looked at now.
    fn due(&mut self, state: &StreamState) -> Option<u64> {
        let gone = state.last_sequence.saturating_sub(state.messages);
        if self.next.is_none() {
            let since = gone.saturating_sub(self.gone);
            if state.num_deleted < LEAST || since < LEAST.max(state.messages / ROUND) {
                return None;
            }
            self.gone = gone;
        }
        let block = self.next.unwrap_or_default().max(block_of(state.first_sequence));
        self.next = Some(block);
        Some(block)
    }
}

impl Indexes {
    /// Makes the indexes of a block without what has left the log, where that
    /// is much of it.
    pub(super) async fn prune(
        &self,
        log: &Log,
        open: &OpenLog,
        list: &[Definition],
        block: u64,
    ) -> Result<()> {
        if open.info.state.num_deleted < LEAST {
            return Ok(());
        }
        let _flight = self.flight().await;
        let mut found = Vec::new();
        for definition in list {
            // What is in memory may know better already than what is kept.
            let stored = self.stored(definition, open, &[block]).await?;
            let is_of_this = |it: &IndexBlock| it.through <= open.info.state.last_sequence;
            found.extend(stored.into_iter().flatten().filter(is_of_this));
        }
        let named = found.iter().fold(RoaringBitmap::new(), |all, it| all | &it.there);
        let named: Vec<u64> =
            named.into_iter().map(|place| block_start(block) + u64::from(place)).collect();
        if (named.len() as u64) < LEAST || !has_lost_much(log, open, &named).await? {
            return Ok(());
        }
        let there = there(log, open, block, &named).await?;
        if !open.is_as_opened() {
            return Ok(());
        }
        for mut it in found {
            if it.there.difference_len(&there) >= LEAST {
                it.there &= &there;
                if let Some(draft) = Draft::of(&it) {
                    self.save(&draft, open).await?;
                }
            }
        }
        Ok(())
    }
}

/// Whether much of what these sequences had is gone, by some of them; not
/// where single messages may not be got.
async fn has_lost_much(log: &Log, open: &OpenLog, named: &[u64]) -> Result<bool> {
    let some = (0..PROBES).filter_map(|_| fastrand::choice(named).copied()).collect();
    // Of several replicas the one that answers may lag behind.
    let consistency = if open.replicas() == 1 { Consistency::Any } else { Consistency::Leader };
    let request = GetMessages::new(WhichMany::Sequences(some)).with_consistency(consistency);
    let mut results = open.jetstream.get_messages(log.stream(), request);
    let mut gone = 0;
    while let Some(result) = results.next().await {
        match result {
            Ok(_) => {}
            Err(error) if is_no_message(&error) => gone += 1,
            Err(error) if error.is(ErrorKind::PermissionDenied) => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(gone * PART >= PROBES)
}

/// The places of a block's messages that are left of those of these sequences.
async fn there(log: &Log, open: &OpenLog, block: u64, named: &[u64]) -> Result<RoaringBitmap> {
    let mut there = RoaringBitmap::new();
    let (Some(first), Some(last)) = (named.first().copied(), named.last().copied()) else {
        return Ok(there);
    };
    let options = ReadOptions::default()
        .with_start(ReadStart::Sequence(first))
        .with_until(ReadUntil::Sequence(last))
        .with_created(open.info.created)
        .with_headers_only(true);
    let mut deliveries = open.jetstream.read(log.stream(), options);
    while let Some(delivery) = deliveries.next().await {
        if let Delivery::Message(message) = delivery? {
            let place = message.sequence - block_start(block);
            // A block has no more.
            there.insert(u32::try_from(place).unwrap_or(u32::MAX));
        }
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use naq_core::clock::ManualClock;
    use naq_core::events::Event;
    use uuid::Uuid;

    use super::*;
    use crate::made_up::{CREATED, log_anew_from, memory_store};

    #[test]
    fn a_round_begins_when_enough_has_gone_since_the_last_one() {
        let mut state = StreamState::default();
        let mut pruning = Pruning::default();
        // The last sequence, how many messages there are, and from which one on.
        let mut due = |last, messages, first| {
            (state.last_sequence, state.messages, state.first_sequence) = (last, messages, first);
            state.num_deleted = last + 1 - first - messages;
            let block = pruning.due(&state);
            pruning.next = None;
            block
        };
        assert_eq!(due(50_000, 49_001, 1), None);
        assert_eq!(due(50_000, 49_000, 1), Some(0));
        assert_eq!(due(200_000, 196_000, 1), None, "one of 64 is more");
        assert_eq!(due(200_000, 195_000, 1), Some(0));
        // What is gone before the first one is named no more.
        assert_eq!(due(200_000, 99_500, 100_000), None);
        assert_eq!(due(200_000, 99_000, 100_000), Some(1));
    }

    #[tokio::test]
    async fn of_two_that_have_come_as_far_the_one_that_names_less_stays() {
        let clock = Arc::new(ManualClock::starting_at(CREATED));
        let indexes = Indexes::new(memory_store(), clock, "events");
        let definition = Definition::new("test", "i", &["queue"], CREATED).unwrap();
        let define = |list: &mut Vec<Definition>| {
            list.push(definition.clone());
            Ok(())
        };
        indexes.store.change(1, define).await.unwrap();
        let (_, open) = log_anew_from(&[], 9);
        let draft = |sequences: std::ops::RangeInclusive<u64>, id: Uuid| {
            let mut draft = Draft::new(CREATED, id, 0, 1);
            for sequence in sequences {
                draft.observe((sequence, CREATED), &Event::new("x"), &definition.fields);
            }
            draft
        };
        let id = definition.id;
        for (made, names) in [
            (draft(1..=5, id), 5),
            (draft(3..=5, id), 3),
            (draft(2..=5, id), 3),
            (draft(1..=6, id), 6),
            (draft(6..=6, id), 1),
        ] {
            indexes.save(&made, &open).await.unwrap();
            let kept = indexes.store.get(CREATED, id, &[0]).await.unwrap().remove(0).unwrap();
            assert_eq!(kept.there.len(), names);
        }
    }
}
