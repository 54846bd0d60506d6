//! The stream that holds the events: what it must be, and making it so.

use std::sync::Arc;
use std::time::Duration;

use naq_core::config::{EventsConfig, StreamMode, format_duration};
use naq_core::events::EventSubjects;
use naq_core::jetstream::{Capabilities, Discard, Retention, StreamConfig, StreamInfo};
use naq_core::streams::{EnsureOutcome, EnsureStream, StreamManager, holds_for};
use naq_core::{Error, ErrorKind, Result, Timestamp};

/// What is known of the stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamFacts {
    /// The largest message that it takes, in bytes; 0 where it has no such limit.
    pub(crate) max_message: u64,
    /// When it was made; `None` where another one may have taken its place.
    pub(crate) created: Option<Timestamp>,
    /// Whether it takes fast batches.
    pub(crate) takes_batches: bool,
    /// How long it recognises a message id, where the server says it.
    pub(crate) duplicate_window: Option<Duration>,
}

/// What is done about the stream before events are sent to it.
#[derive(Debug, Clone)]
pub(crate) struct StreamSetup {
    streams: Arc<dyn StreamManager>,
    request: EnsureStream,
}

impl StreamSetup {
    /// What the configuration asks for; `None` for `stream = "assume"`, which
    /// needs no right but to publish.
    pub(crate) fn new(
        config: &EventsConfig,
        subjects: &EventSubjects,
        streams: Arc<dyn StreamManager>,
    ) -> Option<Self> {
        let verify_only = match config.stream {
            StreamMode::Assume => return None,
            StreamMode::Verify => true,
            _ => false,
        };
        let request =
            EnsureStream::new(stream_config(config, subjects)).with_verify_only(verify_only);
        Some(Self { streams, request })
    }

    /// Makes the stream be as wanted, or checks that it is, and says in the
    /// program's log how long it holds what it gets. Answers what it is like.
    ///
    /// Where the server can take fast batches, a stream that may be changed is
    /// made to take them.
    ///
    /// # Errors
    /// Those of [`StreamManager::ensure_stream`].
    pub(crate) async fn run(&self, can: Capabilities) -> Result<StreamFacts> {
        let mut request = self.request.clone();
        if !request.verify_only {
            request.config = with_what_it_can(request.config, can);
        }
        let ensured = self
            .streams
            .ensure_stream(request)
            .await
            .map_err(|error| layout_hint(error).in_operation("start"))?;
        let info = ensured.info;
        let stream = info.config.name.as_str();
        match &ensured.outcome {
            EnsureOutcome::Created => tracing::info!(stream, "created the event stream"),
            EnsureOutcome::Unchanged => {}
            EnsureOutcome::Updated(changes) => {
                let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
                tracing::info!(stream, changes = changes.join(", "), "updated the event stream");
            }
        }
        tell_room(&info);
        Ok(StreamFacts {
            max_message: info.config.max_message_size.unwrap_or(0),
            created: Some(info.created),
            takes_batches: info.config.allow_batched_publish == Some(true),
            duplicate_window: info.config.duplicate_window,
        })
    }
}

/// Says what to do about a log that was stored with other subjects: asked with
/// these it would look empty.
fn layout_hint(error: Error) -> Error {
    let is_layout = error.is(ErrorKind::Conflict)
        && error.get("metadata").is_some_and(|both| both.contains(EventSubjects::LAYOUT_KEY));
    match is_layout {
        true => error.with_hint(
            "set `subjects` in the section `events` to what the stream has, or name another stream",
        ),
        false => error,
    }
}

/// The stream as the configuration wants it.
///
/// Old events go when a limit is reached, so that logging never stops;
/// direct gets are what questions about single events are made of.
pub(crate) fn stream_config(config: &EventsConfig, subjects: &EventSubjects) -> StreamConfig {
    let stream = StreamConfig::new(config.stream_name.as_str(), [subjects.all()])
        .with_retention(Retention::Limits)
        .with_discard(Discard::Old)
        .with_storage(config.storage)
        .with_max_messages(config.max_msgs.unwrap_or(0))
        .with_max_bytes(config.max_bytes.map_or(0, |size| size.bytes()))
        .with_max_age(config.max_age.unwrap_or(Duration::ZERO))
        .with_duplicate_window(config.duplicate_window)
        .with_allow_direct(true)
        .with_metadata(EventSubjects::LAYOUT_KEY, subjects.layout().as_str());
    if config.replicas > 1 {
        stream.with_replicas(config.replicas)
    } else {
        // Left open, because the default must not take replicas away from a
        // stream to which an operator gave some.
        stream
    }
}

/// The wanted stream, made to take fast batches where the server can.
pub(crate) fn with_what_it_can(wanted: StreamConfig, can: Capabilities) -> StreamConfig {
    match can.fast_ingest {
        true => wanted.with_allow_batched_publish(true),
        false => wanted,
    }
}

/// Says so where the configuration lets a late retry be stored twice.
pub(crate) fn tell_risks(config: &EventsConfig) {
    if config.delivery_timeout > config.duplicate_window {
        tracing::warn!(
            stream = %config.stream_name,
            delivery_timeout = %format_duration(config.delivery_timeout),
            duplicate_window = %format_duration(config.duplicate_window),
            "an event may be stored twice: it is retried longer than the server recognises it",
        );
    }
}

fn tell_room(info: &StreamInfo) {
    let stream = info.config.name.as_str();
    let messages = info.state.messages;
    match holds_for(info) {
        Some(span) => {
            // Tenths are as exact as a rate of the past can be.
            let hours = (span.as_secs_f64() / 360.0).round() / 10.0;
            let holds = format_duration(Duration::from_secs(span.as_secs()));
            tracing::info!(
                stream,
                messages,
                hours,
                "at the present rate the event stream holds {holds} of events"
            );
        }
        None => tracing::info!(stream, messages, "the event stream is ready"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_has_what_the_guarantees_need() {
        let config = stream_config(&EventsConfig::default(), &EventSubjects::default());
        assert_eq!(config.subjects, ["events.>"]);
        assert_eq!(config.discard, Some(Discard::Old));
        assert_eq!(config.allow_direct, Some(true));
        assert_eq!(config.duplicate_window, Some(Duration::from_secs(120)));
        assert_eq!((config.max_messages, config.max_bytes), (Some(1_000_000), Some(1 << 30)));
        assert_eq!(config.max_age, Some(Duration::ZERO));
        assert_eq!(config.metadata[EventSubjects::LAYOUT_KEY], "entity");
    }

    #[test]
    fn the_default_takes_no_replicas_away() {
        let subjects = EventSubjects::default();
        assert_eq!(stream_config(&EventsConfig::default(), &subjects).replicas, None);
        let three = EventsConfig::default().with_replicas(3_u32);
        assert_eq!(stream_config(&three, &subjects).replicas, Some(3));
    }
}
