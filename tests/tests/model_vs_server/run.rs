//! Doing it on one side.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use naq_core::ErrorKind;
use naq_core::jetstream::{
    AckToken, Acknowledge, Consistency, ConsumerConfig, Expected, FetchOptions, GetMessage,
    GetMessages, Headers, JetStream, JetStreamExt, PublishMessage, PurgeOptions, ReadOptions,
    ReadStart, ReadUntil, StreamConfig, Which, WhichMany,
};
use naq_tests::wait;

use super::answer::{Answer, of, plain};
use super::operation::{Change, Draft, Expectation, Operation, Start, Wanted};

const CONSUMER: &str = "c";
const TRIES: usize = 5;
const MOMENT: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(20);

/// One side of a case.
pub(crate) struct Run {
    js: Arc<dyn JetStream>,
    stream: String,
    tokens: Vec<AckToken>,
}

impl Run {
    pub(crate) fn new(js: Arc<dyn JetStream>, stream: &str) -> Self {
        Self { js, stream: stream.to_owned(), tokens: Vec::new() }
    }

    pub(crate) async fn create(&self, config: StreamConfig) -> Vec<Answer> {
        // A busy server at times fails to make a stream's store, and says to try again.
        for _ in 0..TRIES {
            match self.js.create_stream(config.clone()).await {
                Err(error) if error.is(ErrorKind::Unavailable) => {}
                result => return vec![of(result)],
            }
        }
        vec![of(self.js.create_stream(config).await)]
    }

    pub(crate) async fn remove(&self) {
        // It isn't there where its configuration was refused.
        let _ = self.js.delete_stream(&self.stream).await;
    }

    fn subject(&self, tail: &str) -> String {
        format!("{}.{tail}", self.stream)
    }

    fn message(&self, draft: &Draft) -> PublishMessage {
        let mut message = PublishMessage::new(self.subject(draft.tail), vec![b'x'; draft.size]);
        message.message_id = draft.id.map(|id| format!("id-{id}"));
        message.expected = match draft.expected {
            Expectation::Nothing => Expected::default(),
            Expectation::Last(sequence) => Expected::default().with_last_sequence(sequence),
            Expectation::LastOfSubject(sequence) => {
                Expected::default().with_last_subject_sequence(sequence)
            }
            Expectation::LastId(id) => Expected::default().with_last_message_id(format!("id-{id}")),
        };
        if let Some(rollup) = draft.rollup {
            message.headers = Headers::new().with("Nats-Rollup", rollup);
        }
        message
    }

    fn start(start: Start) -> ReadStart {
        match start {
            Start::Beginning => ReadStart::Beginning,
            Start::Sequence(sequence) => ReadStart::Sequence(sequence),
            Start::New => ReadStart::New,
            Start::LastPerSubject => ReadStart::LastPerSubject,
        }
    }

    /// A start that is not in the future, of which the server counts what is pending wrongly.
    async fn present(&self, start: Start) -> ReadStart {
        match (Self::start(start), self.js.stream_info(&self.stream).await) {
            (ReadStart::Sequence(sequence), Ok(info)) => {
                ReadStart::Sequence(sequence.min(info.state.last_sequence + 1))
            }
            (start, _) => start,
        }
    }

    /// Does it and says what there was to see.
    pub(crate) async fn apply(&mut self, operation: &Operation) -> Vec<Answer> {
        let what = format!("{operation:?}");
        wait::within(&what, DEADLINE, self.answers(operation)).await
    }

    async fn answers(&mut self, operation: &Operation) -> Vec<Answer> {
        let (js, stream) = (Arc::clone(&self.js), self.stream.clone());
        match operation {
            Operation::Publish(draft) => vec![plain(js.publish(self.message(draft)).await)],
            Operation::PublishMany(drafts) => {
                let mut messages: Vec<_> = drafts.iter().map(|draft| self.message(draft)).collect();
                for message in &mut messages {
                    // Whether a compare and set that failed had been stored before is looked up
                    // when what follows it in the pipeline may be stored already.
                    if !message.expected.is_empty() {
                        message.message_id = None;
                    }
                }
                js.publish_each(stream::iter(messages).boxed()).map(plain).collect().await
            }
            Operation::PublishAtomic(drafts) => {
                let messages = drafts.iter().map(|draft| self.message(draft)).collect();
                vec![plain(js.publish_atomic(messages).await)]
            }
            Operation::Delete(sequence) => {
                vec![plain(js.delete_message(&stream, *sequence).await)]
            }
            Operation::Purge { filter, keep } => {
                let mut options = PurgeOptions::default().with_keep(*keep);
                options.subject = filter.map(|filter| self.subject(filter));
                vec![plain(js.purge_stream(&stream, options).await)]
            }
            Operation::Get(wanted, consistency) => {
                let which = match wanted {
                    Wanted::Sequence(sequence) => Which::Sequence(*sequence),
                    Wanted::Last(filter) => Which::LastBySubject(self.subject(filter)),
                    Wanted::Next(filter, sequence) => {
                        Which::NextBySubject { subject: self.subject(filter), sequence: *sequence }
                    }
                };
                let request = GetMessage::new(which).with_consistency(*consistency);
                vec![of(js.get_message(&stream, request).await)]
            }
            Operation::GetSequences(sequences, consistency) => {
                self.get_many(WhichMany::Sequences(sequences.clone()), *consistency).await
            }
            Operation::GetLasts(tails, consistency) => {
                let subjects = tails.iter().map(|tail| self.subject(tail)).collect();
                self.get_many(WhichMany::LastBySubjects(subjects), *consistency).await
            }
            Operation::GetFrom { sequence, filter, limit, consistency } => {
                let subject = filter.map(|filter| self.subject(filter));
                let which = WhichMany::From { sequence: *sequence, subject, limit: *limit };
                self.get_many(which, *consistency).await
            }
            Operation::Counts { filter, offset } => {
                let counts = js.subject_counts(&stream, &self.subject(filter), *offset).await;
                // In no particular order: a page that begins within shows how many, not which.
                let counts = counts.map(|mut page| {
                    if *offset > 0 {
                        page.counts = vec![(String::new(), page.counts.len() as u64)];
                    }
                    page
                });
                vec![of(counts)]
            }
            Operation::Info => vec![of(js.stream_info(&stream).await)],
            Operation::Read { start, until, filters, limit } => {
                self.read(*start, *until, filters, *limit).await
            }
            Operation::Update(change) => {
                let none: [&str; 0] = [];
                let config = StreamConfig::new(&stream, none);
                let config = match *change {
                    Change::MaxMessages(most) => config.with_max_messages(most),
                    Change::MaxMessagesPerSubject(most) => {
                        config.with_max_messages_per_subject(most)
                    }
                    Change::MaxBytes(most) => config.with_max_bytes(most),
                    Change::AllowDirect(allow) => config.with_allow_direct(allow),
                };
                vec![of(js.update_stream(config).await)]
            }
            Operation::CreateConsumer { start, filter, max_ack_pending } => {
                let mut config = ConsumerConfig::new(CONSUMER)
                    .with_start(self.present(*start).await)
                    .with_ack_wait(Duration::from_secs(600))
                    .with_max_ack_pending(*max_ack_pending);
                config.subjects = filter.iter().map(|filter| self.subject(filter)).collect();
                vec![of(js.create_consumer(&stream, config).await)]
            }
            Operation::DeleteConsumer => {
                self.tokens.clear();
                vec![plain(js.delete_consumer(&stream, CONSUMER).await)]
            }
            Operation::ConsumerInfo => vec![of(js.consumer_info(&stream, CONSUMER).await)],
            Operation::Fetch(count) => {
                let options = FetchOptions::new(*count).with_wait(Duration::ZERO);
                let mut fetched = js.fetch(&stream, CONSUMER, options.clone()).await;
                if fetched.as_ref().is_ok_and(Vec::is_empty) {
                    // The server tells its consumers of what is stored a moment later.
                    let options = options.with_wait(MOMENT);
                    fetched = js.fetch(&stream, CONSUMER, options).await;
                }
                let tokens = fetched.iter().flatten().map(|delivered| delivered.token.clone());
                self.tokens.extend(tokens);
                vec![of(fetched)]
            }
            Operation::Done(_) if self.tokens.is_empty() => Vec::new(),
            Operation::Done(index) => {
                let token = self.tokens.swap_remove(index.index(self.tokens.len()));
                vec![plain(js.acknowledge(&token, Acknowledge::DoneConfirmed).await)]
            }
        }
    }

    async fn get_many(&self, which: WhichMany, consistency: Consistency) -> Vec<Answer> {
        let request = GetMessages::new(which).with_consistency(consistency);
        self.js.get_messages(&self.stream, request).map(of).collect().await
    }

    async fn read(
        &self,
        start: Start,
        until: Option<u64>,
        filters: &[&'static str],
        limit: Option<u64>,
    ) -> Vec<Answer> {
        let mut options = ReadOptions::default()
            .with_start(Self::start(start))
            .with_until(ReadUntil::Head)
            .with_subjects(filters.iter().map(|filter| self.subject(filter)).collect());
        options.limit = limit;
        // What is still to come would be waited for.
        if let (Some(until), Ok(info)) = (until, self.js.stream_info(&self.stream).await)
            && until <= info.state.last_sequence
        {
            options.until = ReadUntil::Sequence(until);
        }
        self.js.read(&self.stream, options).map(of).collect().await
    }
}
