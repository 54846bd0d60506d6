//! Fetching from a consumer, answering, and what that lets go.

use naq_core::jetstream::{
    AckToken, Acknowledge, ConsumerConfig, ConsumerInfo, ConsumerMessage, FetchOptions, Retention,
    filters_overlap,
};

use super::Moment;
use super::consumer::Consumer;
use super::consumer_config::settle;
use super::refusal::Refusal;
use super::stream::Stream;
use super::wire;

/// Which delivery an answer is for, as the server's reply subject tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) stream: String,
    pub(crate) consumer: String,
    sequence: u64,
}

impl Answered {
    /// Reads a token of [`token`].
    pub(crate) fn parse(token: &AckToken) -> Option<Self> {
        let rest = token.as_str().strip_prefix("$JS.ACK.")?;
        let mut parts = rest.split('.');
        let (stream, consumer) = (parts.next()?, parts.next()?);
        let numbers: Vec<u64> = parts.map(|part| part.parse().ok()).collect::<Option<Vec<_>>>()?;
        let [_, sequence, _, _, _] = numbers[..] else { return None };
        Some(Self { stream: stream.to_owned(), consumer: consumer.to_owned(), sequence })
    }
}

impl Stream {
    /// Makes a consumer, or tells the one of an equal configuration.
    pub(crate) fn create_consumer(
        &mut self,
        config: ConsumerConfig,
        room: u64,
        now: Moment,
    ) -> Result<ConsumerInfo, Refusal> {
        let config = settle(config, self.config.retention)?;
        let stream = &self.config.name;
        if let Some(consumer) = self.consumers.get(&config.name) {
            return if *consumer.config() == config {
                Ok(consumer.info(stream))
            } else {
                Err(Refusal::ConsumerExists(config.name))
            };
        }
        let limit = self.config.max_consumers;
        if limit > 0 && self.consumers.len() as u64 >= limit {
            return Err(Refusal::TooManyConsumers { limit });
        }
        if self.config.retention == Retention::WorkQueue {
            self.check_partition(&config)?;
        }
        let consumer = Consumer::new(config, &self.store, now);
        if consumer.weight() > room {
            return Err(Refusal::MemoryFull);
        }
        let info = consumer.info(stream);
        self.consumers.insert(info.config.name.clone(), consumer);
        Ok(info)
    }

    /// Consumers of a work queue must not want the same messages.
    fn check_partition(&self, config: &ConsumerConfig) -> Result<(), Refusal> {
        if self.consumers.is_empty() {
            return Ok(());
        }
        if config.subjects.is_empty() {
            return Err(Refusal::WorkQueue {
                code: 10099,
                rule: "a work queue takes several consumers only with subjects each",
            });
        }
        let overlaps = self.consumers.values().any(|other| {
            other.filters().lets_all_through()
                || other
                    .filters()
                    .iter()
                    .any(|taken| config.subjects.iter().any(|own| filters_overlap(taken, own)))
        });
        if overlaps {
            return Err(Refusal::WorkQueue {
                code: 10100,
                rule: "consumers of a work queue must not overlap in their subjects",
            });
        }
        Ok(())
    }

    pub(crate) fn consumer(&mut self, name: &str) -> Result<&mut Consumer, Refusal> {
        self.consumers.get_mut(name).ok_or_else(|| Refusal::NoConsumer {
            stream: self.config.name.clone(),
            consumer: name.to_owned(),
        })
    }

    pub(crate) fn consumer_info(
        &mut self,
        name: &str,
        now: Moment,
    ) -> Result<ConsumerInfo, Refusal> {
        let stream = self.config.name.clone();
        let consumer = self.consumer(name)?;
        consumer.redeliver_due(now.monotonic);
        Ok(consumer.info(&stream))
    }

    pub(crate) fn delete_consumer(&mut self, name: &str) -> Result<(), Refusal> {
        self.consumer(name)?;
        self.consumers.remove(name);
        self.let_go_unwanted();
        Ok(())
    }

    /// Removes the consumers that nobody has used for too long.
    pub(crate) fn drop_unused_consumers(&mut self, now: Moment) {
        let before = self.consumers.len();
        self.consumers.retain(|_, consumer| !consumer.is_unused(now.monotonic));
        if self.consumers.len() < before {
            self.let_go_unwanted();
        }
    }

    /// Delivers what is there, at most what is asked for.
    ///
    /// # Errors
    /// `TooLarge` where the first message is over the bytes that are asked for.
    pub(crate) fn fetch(
        &mut self,
        name: &str,
        options: &FetchOptions,
        now: Moment,
    ) -> Result<Vec<ConsumerMessage>, Refusal> {
        let stream = self.config.name.clone();
        self.consumer(name)?.touch(now.monotonic);
        let Some(consumer) = self.consumers.get_mut(name) else { return Ok(Vec::new()) };
        consumer.redeliver_due(now.monotonic);
        let mut fetched = Vec::new();
        let mut bytes = 0;
        while fetched.len() < options.max_messages {
            let (sequence, deliveries) = match consumer.next_again() {
                Some(again) => again,
                None => match consumer.next_new(&self.store) {
                    Some(sequence) => (sequence, 1),
                    None => break,
                },
            };
            let Some(record) = self.store.get(sequence) else {
                // Whatever leaves the store leaves the consumer too, so this is none of its own.
                consumer.done(sequence);
                continue;
            };
            let message = &record.message;
            bytes += message.subject.len() as u64
                + wire::header_bytes(&message.headers)
                + message.payload.len() as u64;
            if options.max_bytes > 0 && bytes > options.max_bytes {
                if deliveries > 1 {
                    consumer.put_back(sequence);
                }
                if fetched.is_empty() {
                    let limit = options.max_bytes;
                    return Err(Refusal::TooLarge { what: "max_bytes", bytes, limit });
                }
                break;
            }
            let delivery = consumer.sent(sequence, now.monotonic);
            let pending = consumer.ahead();
            fetched.push(ConsumerMessage {
                token: AckToken::new(format!(
                    "$JS.ACK.{stream}.{name}.{deliveries}.{sequence}.{delivery}.{}.{pending}",
                    message.stored_at.as_nanos().cast_unsigned(),
                )),
                message: message.clone(),
                deliveries,
                pending,
            });
        }
        Ok(fetched)
    }

    /// Takes an answer; one for what isn't out any more does nothing.
    pub(crate) fn acknowledge(
        &mut self,
        answered: &Answered,
        answer: &Acknowledge,
        now: Moment,
    ) -> Result<(), Refusal> {
        let sequence = answered.sequence;
        let consumer = self.consumer(&answered.consumer)?;
        consumer.redeliver_due(now.monotonic);
        match answer {
            Acknowledge::Done | Acknowledge::DoneConfirmed | Acknowledge::Terminate { .. } => {
                if consumer.done(sequence) {
                    self.let_go_acknowledged(sequence);
                }
            }
            Acknowledge::Retry { after } => consumer.retry(sequence, *after, now.monotonic),
            Acknowledge::InProgress => consumer.in_progress(sequence, now.monotonic),
        }
        Ok(())
    }

    /// A message was acknowledged: removes it where nobody else needs it.
    fn let_go_acknowledged(&mut self, sequence: u64) {
        if self.config.retention != Retention::Limits && !self.is_needed(sequence) {
            self.remove(sequence);
        }
    }

    /// A consumer has gone: what it alone was interested in goes too. A work
    /// queue keeps it for whoever comes.
    pub(crate) fn let_go_unwanted(&mut self) {
        if self.config.retention != Retention::Interest {
            return;
        }
        let unwanted: Vec<u64> = self
            .store
            .from(0)
            .map(|(sequence, _)| sequence)
            .filter(|sequence| !self.is_needed(*sequence))
            .collect();
        for sequence in unwanted {
            self.remove(sequence);
        }
    }

    fn is_needed(&self, sequence: u64) -> bool {
        self.store.get(sequence).is_some_and(|record| {
            let subject = &record.message.subject;
            self.consumers.values().any(|consumer| consumer.needs(sequence, subject))
        })
    }
}
