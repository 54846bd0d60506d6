//! What the program's log is told: enough, not too often, and no content of events.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use naq_core::config::OverflowPolicy;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};

use super::support::{SECOND, assume, pass, started};
use naq_events::prelude::*;

/// Keeps each line of the crate under test.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("naq_events")
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.lock().unwrap().push((*event.metadata().level(), text.0));
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[tokio::test]
async fn failures_are_told_with_counts_at_a_bounded_rate_and_without_content() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let config =
        assume().with_buffer_max_events(10_usize).with_overflow(OverflowPolicy::DropOldest);
    let (service, mut server, clock) = started(config).await;
    service.log_event("the first").await.unwrap();
    let mut session = server.session().await;
    for second in 0..70 {
        for number in 0..20 {
            let event = Event::job_failed(format!("j{number}"), "s3cret", 0.5);
            service.log_event(event.with_field("card", "4111")).await.unwrap();
        }
        while !session.is_over_or_quiet().await {
            session.message().await;
            session.refuse(ErrorKind::LimitReached);
        }
        pass(&clock, SECOND).await;
        assert!(service.counters().is_balanced(), "second {second}");
    }
    let lines = lines.0.lock().unwrap().clone();
    let warnings: Vec<_> = lines.iter().filter(|(level, _)| *level == Level::WARN).collect();
    assert!((10..=16).contains(&warnings.len()), "one in five seconds: {}", warnings.len());
    let dropped: u64 = warnings.iter().map(|(_, line)| number(line, "dropped=")).sum();
    let counters = service.counters();
    assert!(dropped > 0 && dropped <= counters.dropped);
    assert!(counters.dropped - dropped <= 120, "only the last seconds are not told yet");
    let reason = |(_, line): &&&(Level, String)| line.contains("as the test wants it");
    assert!(warnings.iter().filter(reason).count() + 1 >= warnings.len(), "{warnings:?}");
    for (_, line) in &lines {
        assert!(!line.contains("s3cret") && !line.contains("4111"), "{line}");
    }
}

fn number(line: &str, field: &str) -> u64 {
    let rest = line.split_once(field).map_or("", |(_, rest)| rest);
    rest.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
