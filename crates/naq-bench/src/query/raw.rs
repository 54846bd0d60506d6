//! The raw ways of the NATS client, as a good user without naq would write
//! them: a scan that decodes what the question needs, and a consumer for one job.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::Stream;
use futures::TryStreamExt;
use jiff::fmt::temporal::DateTimeParser;
use serde::Deserialize;
use sketches_ddsketch::{Config, DDSketch};

use super::ask::{Counts, Question, Range};
use crate::Outcome;

/// How many messages one pull asks for: with the client's default of 200 a scan takes longer.
const BATCH: usize = 5_000;

/// After so long without a pull the server forgets a consumer.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// What questions ask of an event, borrowed from the message where it can be.
#[derive(Debug, Deserialize)]
pub(super) struct RawEvent<'a> {
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    job_id: Option<Text<'a>>,
    #[serde(borrow)]
    queue: Option<Text<'a>>,
    #[serde(borrow)]
    job_name: Option<Text<'a>>,
    #[serde(borrow)]
    error: Option<Text<'a>>,
    #[serde(borrow)]
    error_type: Option<Text<'a>>,
    duration: Option<f64>,
}

/// A text that may have escapes: serde borrows it inside of an `Option` only so.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A consumer of the stream's messages from its beginning, without acknowledgements.
pub(super) async fn consumer(stream: &Stream, filter: &str) -> Outcome<PullConsumer> {
    let config = pull::Config {
        ack_policy: AckPolicy::None,
        filter_subject: filter.to_owned(),
        inactive_threshold: FORGOTTEN,
        memory_storage: true,
        ..pull::Config::default()
    };
    Ok(stream.create_consumer(config).await?)
}

/// Shows the payload of each message that a consumer has, as the stream stands.
async fn each(consumer: &PullConsumer, mut visit: impl FnMut(&[u8]) -> Outcome) -> Outcome {
    if consumer.cached_info().num_pending == 0 {
        return Ok(());
    }
    let mut messages = consumer.stream().max_messages_per_batch(BATCH).messages().await?;
    while let Some(message) = messages.try_next().await? {
        visit(&message.payload)?;
        if message.info()?.pending == 0 {
            break;
        }
    }
    Ok(())
}

/// Reads the whole log, and counts what the question asks for.
pub(super) async fn scan(stream: &Stream, question: &Question) -> Outcome<Counts> {
    let mut counts = scans(stream, std::slice::from_ref(question)).await?;
    counts.pop().ok_or_else(|| "a question has an answer".into())
}

/// Reads the whole log once, and counts what each of the questions asks for.
pub(super) async fn scans(stream: &Stream, questions: &[Question]) -> Outcome<Vec<Counts>> {
    let mut folds: Vec<Fold> = questions.iter().map(|_| Fold::default()).collect();
    let has_range = questions.iter().any(|question| question.range().is_some());
    let all = consumer(stream, ">").await?;
    each(&all, |payload| {
        let event: RawEvent<'_> = serde_json::from_slice(payload)?;
        let at = if has_range { nanos(&event.timestamp)? } else { 0 };
        for (fold, question) in folds.iter_mut().zip(questions) {
            fold.add(question, &event, at)?;
        }
        Ok(())
    })
    .await?;
    Ok(folds.into_iter().map(|fold| fold.counts).collect())
}

/// The events of one job, by a consumer of its subjects; how many there are.
pub(super) async fn history(stream: &Stream, job: &str) -> Outcome<usize> {
    let mut events = Vec::new();
    let of_job = consumer(stream, &format!("events.*.{job}")).await?;
    let pending = usize::try_from(of_job.cached_info().num_pending)?;
    if pending > 0 {
        let mut messages = of_job.fetch().max_messages(pending).messages().await?;
        while let Some(message) = messages.try_next().await? {
            events.push(naq_core::events::decode(&message.payload)?);
        }
    }
    let (stream, name) = (stream.clone(), of_job.cached_info().name.clone());
    tokio::spawn(async move { stream.delete_consumer(&name).await });
    Ok(events.len())
}

/// Reads live until so many messages have come, and decodes each.
pub(super) async fn live(consumer: &PullConsumer, count: u64) -> Outcome {
    let mut messages = consumer.stream().max_messages_per_batch(BATCH).messages().await?;
    for _ in 0..count {
        let message = messages.try_next().await?.ok_or("the reading ended")?;
        naq_core::events::decode(&message.payload)?;
    }
    Ok(())
}

/// The completed jobs of a log that took longer than so many seconds; how many
/// completed ones were read, and how many of them took longer.
pub(super) async fn filtered(stream: &Stream, seconds: f64) -> Outcome<(u64, u64)> {
    let (mut read, mut long) = (0, 0);
    let completed = consumer(stream, "events.job_completed.>").await?;
    each(&completed, |payload| {
        let event = naq_core::events::decode(payload)?;
        read += 1;
        long += u64::from(event.duration.is_some_and(|duration| duration > seconds));
        Ok(())
    })
    .await?;
    Ok((read, long))
}

/// Reads a log from its beginning on and live, as a plain reader does, and
/// counts what it has read, until it is dropped.
pub(super) async fn follow(stream: &Stream, read: &AtomicU64) -> Outcome {
    let all = consumer(stream, ">").await?;
    let mut messages = all.stream().max_messages_per_batch(BATCH).messages().await?;
    while let Some(message) = messages.try_next().await? {
        let _: RawEvent<'_> = serde_json::from_slice(&message.payload)?;
        read.fetch_add(1, Ordering::Relaxed);
    }
    Err("the reading ended".into())
}

/// The sequences of the events that are meant, by reading the whole log.
pub(super) async fn sequences(
    stream: &Stream,
    is_meant: impl Fn(&naq_core::events::Event) -> bool,
) -> Outcome<Vec<u64>> {
    let all = consumer(stream, ">").await?;
    let mut found = Vec::new();
    let mut messages = all.stream().max_messages_per_batch(BATCH).messages().await?;
    while let Some(message) = messages.try_next().await? {
        let info = message.info()?;
        if is_meant(&naq_core::events::decode(&message.payload)?) {
            found.push(info.stream_sequence);
        }
        if info.pending == 0 {
            break;
        }
    }
    Ok(found)
}

/// What a scan adds up.
#[derive(Default)]
struct Fold {
    counts: Counts,
    durations: BTreeMap<String, DDSketch>,
}

impl Fold {
    /// Adds an event that happened at such a time, in nanoseconds.
    fn add(&mut self, question: &Question, event: &RawEvent<'_>, at: i128) -> Outcome {
        if let Question::History(job) = question {
            if event.job_id.as_ref().is_some_and(|id| id.0 == job.as_str()) {
                self.count("events", "", 1);
            }
            return Ok(());
        }
        if question.range().is_some_and(|range| !is_in(range, at)) {
            return Ok(());
        }
        match question {
            Question::Stats(_) => {
                self.count("type", &event.event_type, 1);
                for (group, name) in [("queue", &event.queue), ("job_name", &event.job_name)] {
                    if let Some(name) = name {
                        self.count(group, &name.0, 1);
                    }
                }
            }
            Question::Analytics(_) if event.event_type == "job_completed" => {
                let queue = event.queue.as_ref().map_or("", |queue| &queue.0);
                self.count("queue", queue, 1);
                if let Some(duration) = event.duration {
                    if !self.durations.contains_key(queue) {
                        let sketch = DDSketch::new(Config::defaults());
                        self.durations.insert(queue.to_owned(), sketch);
                    }
                    if let Some(sketch) = self.durations.get_mut(queue) {
                        sketch.add(duration);
                    }
                }
            }
            Question::TopErrors(_) => {
                if let (Some(error), Some(class)) = (&event.error, &event.error_type) {
                    self.count(&class.0, &without_numbers(&error.0), 1);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, group: &str, name: &str, more: u64) {
        let groups = &mut self.counts;
        if !groups.contains_key(group) {
            groups.insert(group.to_owned(), BTreeMap::new());
        }
        let Some(names) = groups.get_mut(group) else { return };
        match names.get_mut(name) {
            Some(count) => *count += more,
            None => {
                names.insert(name.to_owned(), more);
            }
        }
    }
}

/// A time in nanoseconds.
fn nanos(timestamp: &str) -> Outcome<i128> {
    const PARSER: DateTimeParser = DateTimeParser::new();
    Ok(PARSER.parse_timestamp(timestamp)?.as_nanosecond())
}

fn is_in(range: Range, at: i128) -> bool {
    let Range { start, end } = range;
    i128::from(start.as_nanos()) <= at && at <= i128::from(end.as_nanos())
}

/// The message with each number as `#`.
fn without_numbers(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    let mut in_number = false;
    for c in message.chars() {
        if !c.is_ascii_digit() {
            text.push(c);
        } else if !in_number {
            text.push('#');
        }
        in_number = c.is_ascii_digit();
    }
    text
}
