//! Reading newest first: its windows, and what breaks them.

use naq_core::jetstream::{Delivery, ReadOptions, ReadStart, ReadUntil};
use naq_events::prelude::*;

use crate::support::{all_of, asked, broken, jetstream, message, payload, service, strings, told};

fn newest() -> ReadEvents {
    ReadEvents::default().with_newest_first()
}

fn start(options: &ReadOptions) -> u64 {
    match options.start {
        ReadStart::Sequence(sequence) => sequence,
        _ => panic!("{options:?}"),
    }
}

#[tokio::test]
async fn windows_go_back_from_the_end_and_grow() {
    let (mock, log) = jetstream(1, 10_000, Box::new(|options| all_of(options, 1, 10_000)));
    let service = service(mock, &ManualClock::new()).await;
    let told = told(&service, newest()).await;
    let mut expected: Vec<_> = (1..=10_000).rev().map(|n| n.to_string()).collect();
    expected.push("caught up 10000".to_owned());
    assert!(told == expected, "{} items", told.len());
    let expected = ["info", "read 8977..10000 events.>", "read 4881..8976 events.>"];
    assert_eq!(asked(&log)[..3], expected);
}

#[tokio::test]
async fn a_limit_reads_no_window_more_than_it_needs() {
    let (mock, log) = jetstream(1, 10_000, Box::new(|options| all_of(options, 1, 10_000)));
    let service = service(mock, &ManualClock::new()).await;
    assert_eq!(told(&service, newest().with_limit(3)).await, ["10000", "9999", "9998"]);
    assert_eq!(asked(&log), ["info", "read 8977..10000 events.>"]);
}

#[tokio::test]
async fn what_is_no_event_counts_for_no_limit() {
    let deliveries = |_: &_| vec![message(1), payload(2, "x"), message(3), payload(4, "x")];
    let (mock, _) = jetstream(1, 4, Box::new(deliveries));
    let service = service(mock, &ManualClock::new()).await;
    let told = told(&service, newest().with_limit(2)).await;
    assert_eq!(told, ["malformed 4", "3", "malformed 2", "1"]);
}

#[tokio::test]
async fn a_window_that_holds_too_much_is_read_again_in_parts() {
    // 40 messages of 1 MiB are over what a window may keep.
    let large = |options: &ReadOptions| {
        let ReadUntil::Sequence(end) = options.until else { panic!("{options:?}") };
        let padding = "x".repeat(1 << 20);
        let event = format!(r#"{{"type":"log","message":"{padding}"}}"#);
        (start(options)..=end).map(|n| payload(n, event.clone())).collect()
    };
    let (mock, log) = jetstream(1, 40, Box::new(large));
    let service = service(mock, &ManualClock::new()).await;
    let told = told(&service, newest()).await;
    let mut expected: Vec<_> = (1..=40).rev().map(|n| n.to_string()).collect();
    expected.push("caught up 40".to_owned());
    assert_eq!(told, expected);
    let asked = asked(&log);
    assert_eq!(asked[..3], ["info", "read 1..40 events.>", "read 31..40 events.>"]);
}

#[tokio::test]
async fn a_gap_in_a_window_stands_in_its_place_and_ends_the_reading() {
    // While the second window is read the stream lets go all up to 8,000.
    let deliveries = |options: &ReadOptions| {
        if start(options) == 8_977 {
            return all_of(options, 1, 10_000);
        }
        let mut all: Vec<_> = (start(options)..5_000).map(message).collect();
        all.push(Ok(Delivery::Gap { from: 5_000, to: 8_000 }));
        all.extend((8_001..=8_976).map(message));
        all
    };
    let (mock, log) = jetstream(1, 10_000, Box::new(deliveries));
    let service = service(mock, &ManualClock::new()).await;
    let told = told(&service, newest()).await;
    let mut expected: Vec<_> = (8_001..=10_000).rev().map(|n| n.to_string()).collect();
    expected.push("gap 5000-8000".to_owned());
    expected.extend((4_881..5_000).rev().map(|n| n.to_string()));
    expected.extend(strings(&["gap 1-4880", "caught up 10000"]));
    assert!(told == expected, "{:?}", &told[told.len() - 3..]);
    assert_eq!(asked(&log).len(), 3, "what is gone isn't asked for");
}

#[tokio::test]
async fn a_gap_at_a_windows_start_is_one_with_what_lies_below() {
    let deliveries = |options: &ReadOptions| {
        let mut all = vec![Ok(Delivery::Gap { from: start(options), to: 9_998 })];
        all.extend([message(9_999), message(10_000)]);
        all
    };
    let (mock, _) = jetstream(1, 10_000, Box::new(deliveries));
    let service = service(mock, &ManualClock::new()).await;
    let told = told(&service, newest()).await;
    assert_eq!(told, ["10000", "9999", "gap 1-9998", "caught up 10000"]);
}

#[tokio::test]
async fn a_window_that_breaks_ends_the_reading_behind_the_windows_before() {
    let deliveries = |options: &ReadOptions| match start(options) {
        8_977 => all_of(options, 1, 10_000),
        _ => vec![message(4_881), broken()],
    };
    let (mock, _) = jetstream(1, 10_000, Box::new(deliveries));
    let service = service(mock, &ManualClock::new()).await;
    let told = told(&service, newest()).await;
    assert_eq!(told.len(), 1_025);
    assert_eq!(told[1_023..], ["8977", "unavailable in read_events"]);
}
