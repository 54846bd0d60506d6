//! Folding the log into digests as it grows, for nobody's question.

use std::ops::Range;

use futures::StreamExt;
use naq_core::Result;
use naq_core::events::EventItem;
use naq_core::jetstream::{Delivery, ReadOptions, ReadStart, ReadUntil};

use super::digest::{block_end, block_of, block_start};
use super::kept::{Digests, Purpose};
use super::rests::{Rest, Rests, runs};
use crate::fence::Mark;
use crate::read::{Log, OpenLog};

/// How many blocks are looked at together: as many digests are in memory at a
/// time where they are there already.
const CHUNK: u64 = 8;

/// So many blocks are read in its turn with the questions of the same service:
/// the one at the log's end, and the one that was there a moment ago.
const LAST: u64 = 2;

/// After so many messages it says how far it has come.
const SAY: u64 = 4_096;

impl Digests {
    /// Reads what no digest has, from a block on up to the log's end as it
    /// stood when it was opened, and keeps digests of it. Says now and then how
    /// far it has come, and how many messages it has read so far; answers how
    /// many it read.
    ///
    /// Each block is kept as soon as it is whole, and stays in memory no longer:
    /// what is there is the one that is read, however much there is to read.
    pub(crate) async fn fold(
        &self,
        operation: &'static str,
        log: &Log,
        open: &OpenLog,
        from_block: u64,
        mut reached: impl FnMut(u64, u64) + Send,
    ) -> Result<u64> {
        let state = &open.info.state;
        let mut read = 0;
        self.look(open).await.map_err(|error| error.in_operation(operation))?;
        if state.last_sequence == 0 {
            return Ok(read);
        }
        let end = block_of(state.last_sequence) + 1;
        // What has left the log can't be folded any more.
        let mut start = from_block.max(block_of(state.first_sequence));
        while start + LAST < end {
            let blocks = start..(end - LAST).min(start + CHUNK);
            start = blocks.end;
            self.blocks(operation, log, open, blocks, &mut read, &mut reached).await?;
        }
        if start < end {
            // Who asks meanwhile waits for this, and then has it.
            let _flight = self.flight(log.clock()).await;
            let later = self.later(operation, log, open).await?;
            let open = later.as_ref().unwrap_or(open);
            self.blocks(operation, log, open, start..end, &mut read, &mut reached).await?;
        }
        Ok(read)
    }

    /// Reads what no digest has of some blocks.
    async fn blocks(
        &self,
        operation: &'static str,
        log: &Log,
        open: &OpenLog,
        blocks: Range<u64>,
        read: &mut u64,
        reached: &mut (impl FnMut(u64, u64) + Send),
    ) -> Result<()> {
        let (created, state) = (open.info.created, &open.info.state);
        self.keep_whole(created, open.replicas(), Purpose::Keeping)
            .await
            .map_err(|error| error.in_operation(operation))?;
        let wanted: Vec<u64> = blocks.clone().collect();
        let loaded = self
            .load(created, &wanted, state, Purpose::Keeping)
            .await
            .map_err(|error| error.in_operation(operation))?;
        let (mut rests, mut end) = (Vec::new(), 0);
        for (block, digest) in blocks.zip(loaded) {
            let to = block_end(block).min(state.last_sequence);
            let digest = digest.filter(|digest| digest.through <= to);
            let from = digest.as_ref().map_or(block_start(block), |digest| digest.through + 1);
            if from <= to {
                rests.push(Rest { block, from, to, before: digest });
            }
            end = to;
        }
        for run in runs(rests) {
            self.run(operation, log, open, run, read, reached).await?;
        }
        reached(end, *read);
        Ok(())
    }

    /// Reads rests that follow one another at one go.
    async fn run(
        &self,
        operation: &'static str,
        log: &Log,
        open: &OpenLog,
        run: Vec<Rest>,
        read: &mut u64,
        reached: &mut (impl FnMut(u64, u64) + Send),
    ) -> Result<()> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
        let created = open.info.created;
        let (from, to) = (first.from.max(open.info.state.first_sequence), last.to);
        let mut rests = Rests::new(self, open, run, Purpose::Keeping);
        let options = ReadOptions::default()
            .with_start(ReadStart::Sequence(rests.start(from)))
            .with_until(ReadUntil::Sequence(to))
            .with_created(created);
        let mut deliveries = (from <= to).then(|| open.jetstream.read(log.stream(), options));
        while let Some(deliveries) = &mut deliveries
            && let Some(delivery) = deliveries.next().await
        {
            let message = match delivery {
                Ok(Delivery::Message(message)) => message,
                Ok(_) => continue,
                Err(error) => {
                    rests.break_off().await;
                    return Err(error.in_operation(operation));
                }
            };
            let mark = Mark::from(&message);
            rests.meet(mark).map_err(|error| error.in_operation(operation))?;
            let sequence = message.sequence;
            if sequence < from {
                continue;
            }
            if let Some(to) = rests.come_to(sequence).await? {
                reached(to, *read);
            }
            *read += 1;
            if let Some(draft) = rests.lacking(mark) {
                match log.as_counted(message, created) {
                    EventItem::Event(recorded) => draft.observe(&recorded),
                    _ => draft.malformed(sequence),
                }
            }
            if read.is_multiple_of(SAY) {
                reached(sequence, *read);
            }
        }
        rests.end().await?;
        reached(to, *read);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::{FutureExt, stream};
    use naq_core::clock::ManualClock;
    use naq_core::config::EventsConfig;
    use naq_core::connection::{ConnectionProvider, SingleJetStream};
    use naq_core::events::{Event, EventSubjects};
    use naq_core::jetstream::{
        JetStream, MockJetStream, StoredMessage, StreamConfig, StreamInfo, StreamState,
    };
    use naq_core::{Error, ErrorKind, Timestamp};

    use super::super::digest::{BLOCK, Digest};
    use super::*;
    use crate::read::Limits;

    const CREATED: Timestamp = Timestamp::from_nanos(0);

    fn message(sequence: u64, at: Timestamp) -> Delivery {
        let payload = serde_json::to_vec(&Event::log("x").with_timestamp(at)).unwrap();
        Delivery::Message(StoredMessage {
            subject: "events.log".to_owned(),
            sequence,
            stored_at: at,
            headers: Default::default(),
            payload: payload.into(),
        })
    }

    /// A log that is read like this up to a sequence, and digests of it in this process.
    fn scene(jetstream: MockJetStream, last_sequence: u64) -> (Digests, Log, OpenLog) {
        let memory = Arc::new(naq_memory::MemoryJetStream::new());
        let connections: Arc<dyn ConnectionProvider> = SingleJetStream::provider(memory);
        let kv = Arc::new(naq_kv::KvStoreService::new(Arc::clone(&connections)));
        let mut state = StreamState::default();
        (state.first_sequence, state.last_sequence) = (1, last_sequence);
        let info = StreamInfo::new(StreamConfig::new("events", ["events.>"]), state, CREATED);
        let jetstream: Arc<dyn JetStream> = Arc::new(jetstream);
        let open = OpenLog::of(jetstream, info, CREATED);
        let clock = Arc::new(ManualClock::starting_at(CREATED));
        let limits = Limits::of(&EventsConfig::default());
        let log = Log::new(connections, clock, "events", EventSubjects::default(), limits);
        (Digests::new(kv, "events"), log, open)
    }

    #[tokio::test]
    async fn what_was_counted_of_the_first_block_of_several_is_there_after_a_reading_is_given_up() {
        for is_stopped in [false, true] {
            let (said, stopped) = tokio::sync::oneshot::channel();
            let mut jetstream = MockJetStream::new();
            jetstream.expect_read().return_once(move |_, _| {
                let end = async move {
                    said.send(()).unwrap();
                    if is_stopped {
                        std::future::pending::<()>().await;
                    }
                    Err(Error::new(ErrorKind::Unavailable, "read", "the server is away"))
                };
                let messages = (1..=9).map(|sequence| Ok(message(sequence, CREATED)));
                stream::iter(messages).chain(end.into_stream()).boxed()
            });
            let (digests, log, open) = scene(jetstream, block_end(2));
            tokio::select! {
                result = digests.fold("fold", &log, &open, 0, |_, _| {}) => {
                    assert!(result.unwrap_err().is(ErrorKind::Unavailable));
                }
                _ = stopped, if is_stopped => {}
            }
            digests.checkpoint(CREATED, 1).await.unwrap();
            let stored = digests.stored(CREATED, &[0, 1, 2]).await.unwrap();
            let extents: Vec<_> = stored.iter().map(|it| it.as_ref().map(Digest::extent)).collect();
            assert_eq!(extents, [Some((9, 9)), None, None]);
        }
    }

    #[tokio::test]
    async fn a_block_that_grows_is_kept_each_32_000_events_however_its_reading_ends() {
        const READ: u64 = 32_050;
        // The log's end, how much of it was kept before, and how much is behind the reading.
        let cases = [
            (READ + 1, 0, Some((32_000, 32_000))),
            (block_end(0), 30, Some((32_030, 32_030))),
            // All of a block is kept at its end.
            (block_end(0), 0, None),
        ];
        for (last_sequence, before, expected) in cases {
            let (said, killed) = tokio::sync::oneshot::channel();
            let mut jetstream = MockJetStream::new();
            jetstream.expect_read().return_once(move |_, options| {
                let ReadStart::Sequence(from) = options.start else { panic!("{options:?}") };
                let end = async move {
                    said.send(()).unwrap();
                    std::future::pending().await
                };
                let messages = (from..=READ).map(|sequence| Ok(message(sequence, CREATED)));
                stream::iter(messages).chain(end.into_stream()).boxed()
            });
            let (digests, log, open) = scene(jetstream, last_sequence);
            let mut growing = digests.begin(CREATED, 0, 1, None);
            for sequence in 1..=before {
                growing.draft().malformed(sequence);
            }
            drop(growing);
            digests.checkpoint(CREATED, 1).await.unwrap();
            tokio::select! {
                result = digests.fold("fold", &log, &open, 0, |_, _| {}) => panic!("{result:?}"),
                _ = killed => {}
            }
            // What another process has is in the store.
            let stored = digests.stored(CREATED, &[0]).await.unwrap();
            assert_eq!(stored[0].as_ref().map(Digest::extent), expected, "through {last_sequence}");
        }
    }

    #[test]
    fn a_backlog_takes_the_memory_of_the_block_that_is_read_however_long_it_is() {
        // Each event that is there has a minute, and so a cell, of its own.
        const ONE_OF: u64 = 16;
        let fold = |blocks: u64| {
            let mut jetstream = MockJetStream::new();
            jetstream.expect_read().returning(|_, options| {
                let (ReadStart::Sequence(from), ReadUntil::Sequence(to)) =
                    (options.start, options.until)
                else {
                    panic!("a part is read, not {options:?}");
                };
                let there = (from..=to).filter(|sequence| sequence.is_multiple_of(ONE_OF));
                let at = |n: u64| Timestamp::from_nanos(n.cast_signed() * 60_000_000_000);
                stream::iter(there.map(move |n| Ok(message(n, at(n / ONE_OF))))).boxed()
            });
            let (digests, log, open) = scene(jetstream, block_end(blocks - 1));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let memory = allocation_counter::measure(|| {
                let read = runtime.block_on(digests.fold("fold", &log, &open, 0, |_, _| {}));
                assert_eq!(read.unwrap(), blocks * BLOCK / ONE_OF);
            });
            let all: Vec<u64> = (0..blocks).collect();
            let stored = runtime.block_on(digests.stored(CREATED, &all)).unwrap();
            let weights = stored.iter().flatten().map(|digest| digest.weight() as i64);
            let stays = memory.bytes_current;
            (weights.sum::<i64>(), stays, memory.bytes_max.cast_signed() - stays)
        };
        let [few, many] = [2, 10].map(fold);
        // What stays is the store, which is in this process here: its bytes are
        // few beside digests in memory.
        let ((had, stayed, used), (has, stays, uses)) = (few, many);
        assert!(8 * (stays - stayed) < has - had, "{stayed} and then {stays} stay");
        assert!(10 * uses < 11 * used, "{used} and then {uses} more at a time");
    }
}
