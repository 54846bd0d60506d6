//! Reading newest first.

use std::sync::Arc;

use naq_core::events::{Event, Filter, ReadEvents, ReadStart, ReadUntil};
use naq_core::jetstream::JetStream;

use super::support::{Own, Seen, events};

fn newest() -> ReadEvents {
    ReadEvents::default().with_newest_first()
}

pub async fn a_log_of_many_windows_is_told_from_its_end_back(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all((0..2_500).map(|n| Event::job_progress(format!("j{}", n % 50), "x"))).await;
    own.foreign("log", "no event").await;
    own.log_all((0..2_500).map(|n| Event::job_progress(format!("j{}", n % 50), "x"))).await;
    let mut expected = events((1..=5_001).rev());
    expected[2_500] = Seen::Malformed(2_501);
    expected.push(Seen::CaughtUp(5_001));
    let seen = own.read_all(newest()).await;
    assert!(seen == expected, "{} items", seen.len());

    let some = own.read_all(newest().with_limit(2_501)).await;
    assert!(some == expected[..2_502], "{} items", some.len());
    let job = own.read_all(newest().with_filter(Filter::new().job("j7"))).await;
    let stored = own.stored().await;
    let of_job = stored.iter().filter(|message| message.subject.ends_with(".j7"));
    assert!(job[..100] == events(of_job.map(|message| message.sequence).rev()), "{job:?}");
    assert_eq!(job[100..], [Seen::CaughtUp(5_001)]);
}

pub async fn it_keeps_to_its_start_and_its_end(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all((0..6).map(|n| Event::log(n.to_string()))).await;
    let between = newest().with_start(ReadStart::Sequence(2)).with_until(ReadUntil::Sequence(4));
    assert_eq!(own.read_all(between).await[..3], events([4, 3, 2]));
    let beyond = newest().with_until(ReadUntil::Sequence(1_000));
    assert_eq!(own.read_all(beyond).await[..6], events((1..=6).rev()));
    let nothing = newest().with_start(ReadStart::Sequence(7));
    assert_eq!(own.read_all(nothing).await, [Seen::CaughtUp(6)]);
}

pub async fn what_comes_meanwhile_is_left_out(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log_all((0..3).map(|n| Event::log(n.to_string()))).await;
    let mut reading = own.read(newest());
    assert_eq!(reading.next().await, Seen::Event(3));
    own.log(Event::log("meanwhile")).await;
    assert_eq!(reading.rest().await, [Seen::Event(2), Seen::Event(1), Seen::CaughtUp(3)]);
}

pub async fn the_newest_of_a_filter_that_finds_little_are_found(js: Arc<dyn JetStream>) {
    let own = Own::new(js).await;
    own.log(Event::log("rare").with_queue("needle")).await;
    own.log_all((0..3_000).map(|_| Event::log("common").with_queue("hay"))).await;
    let found = newest().with_filter(Filter::new().queue("needle")).with_limit(1);
    assert_eq!(own.read_all(found).await, [Seen::Event(1)]);
}
