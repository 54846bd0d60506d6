//! What a question may read, and for how long.

use std::time::Duration;

use futures::{StreamExt, stream};
use naq_core::events::{Filter, HistoryRequest, ScanLimits, StatsRequest};
use naq_core::jetstream::{Delivery, ReadOptions};
use naq_core::{Error, ErrorKind};
use naq_events::prelude::*;

use crate::support::{all_of, jetstream, message, reading, service, strings, told};

fn most() -> ScanLimits {
    ScanLimits::default()
}

/// Which limit was reached, its value, and where.
fn reached(error: &Error) -> (&str, &str, &str) {
    assert!(error.is(ErrorKind::LimitReached), "{error:?}");
    let limits = ["max_messages", "max_bytes", "max_time"];
    let mut named = limits.into_iter().filter_map(|name| Some((name, error.get(name)?)));
    let (name, value) = named.next().unwrap();
    assert_eq!(named.next(), None, "{error:?}");
    (name, value, error.get("stopped_at_sequence").unwrap())
}

#[tokio::test]
async fn a_question_stops_at_the_first_message_beyond_and_says_where() {
    let (mock, _) = jetstream(1, 5, Box::new(|options| all_of(options, 1, 5)));
    let service = service(mock, &ManualClock::new()).await;
    let history = async |limits| service.history(HistoryRequest::job("j").with_scan(limits)).await;
    let stats = async |limits| service.stats(StatsRequest::default().with_scan(limits)).await;
    let Ok(Delivery::Message(of_three)) = message(1) else { panic!("not a message") };
    let of_three = 3 * of_three.payload.len() as u64;
    for (limits, expected) in [
        (most().with_max_messages(3), ("max_messages", "3".to_owned())),
        (most().with_max_bytes(of_three), ("max_bytes", of_three.to_string())),
    ] {
        let expected = (expected.0, expected.1.as_str(), "4");
        let error = history(limits).await.unwrap_err();
        assert_eq!(reached(&error), expected);
        assert_eq!(error.operation(), "get_event_history");
        assert_eq!(reached(&stats(limits).await.unwrap_err()), expected);
    }
    for limits in [most().with_max_messages(5), most().with_max_bytes(2 * of_three)] {
        assert_eq!(history(limits).await.unwrap().summary.total_events, 5);
        assert_eq!(stats(limits).await.unwrap().total_events, 5);
    }
}

#[tokio::test]
async fn a_question_that_waits_for_the_log_for_too_long_says_how_far_it_came() {
    let hanging = |_: &ReadOptions| stream::iter([message(1), message(2)]).chain(stream::pending());
    let (mock, _) = reading(1, 5, move |options| hanging(options).boxed());
    let clock = ManualClock::new();
    let service = service(mock, &clock).await;
    let pass = async |time| clock.advance(time);
    let (stats, ()) =
        tokio::join!(service.get_event_stats(None, None), pass(Duration::from_secs(300)));
    assert_eq!(reached(&stats.unwrap_err()), ("max_time", "5m", "2"));
    let request = HistoryRequest::job("j").with_scan(most().with_max_time(Duration::from_secs(2)));
    let (history, ()) = tokio::join!(service.history(request), pass(Duration::from_secs(2)));
    assert_eq!(reached(&history.unwrap_err()), ("max_time", "2s", "2"));
    // A reading has its time for each event that it finds.
    let mut items = service.read_events(ReadEvents::default());
    for _ in 0..2 {
        clock.advance(Duration::from_secs(299));
        assert!(items.next().await.unwrap().unwrap().event().is_some());
    }
    let (end, ()) = tokio::join!(items.next(), pass(Duration::from_secs(300)));
    assert_eq!(reached(&end.unwrap().unwrap_err()), ("max_time", "5m", "2"));
    assert!(items.next().await.is_none());
}

#[tokio::test]
async fn the_time_of_a_question_that_never_waits_ends_too() {
    let clock = ManualClock::new();
    let passing = clock.clone();
    let (mock, _) = reading(1, 1_000_000, move |_| {
        let clock = passing.clone();
        let endless = (1..).inspect(move |_| clock.advance(Duration::from_secs(1)));
        stream::iter(endless.map(message)).boxed()
    });
    let service = service(mock, &clock).await;
    let error = service.get_event_stats(None, None).await.unwrap_err();
    let (limit, _, at) = reached(&error);
    assert_eq!(limit, "max_time");
    assert!((300..600).contains(&at.parse::<u64>().unwrap()), "{at}");
}

#[tokio::test]
async fn a_reading_that_finds_nothing_stops_and_what_it_finds_gives_it_room_again() {
    let (mock, _) = jetstream(1, 9, Box::new(|options| all_of(options, 1, 9)));
    let service = service(mock, &ManualClock::new()).await;
    let filter = |text| ReadEvents::default().with_filter(Filter::parse(text).unwrap());
    let three = most().with_max_messages(3);
    let failed = "limit reached in read_events";
    let cases: [(&str, &[&str], &[&str]); 4] = [
        ("n in (3, 6, 9)", &["3", "6", "9", "caught up 9"], &["9", "6", "3", "caught up 9"]),
        ("n in (1, 4, 7)", &["1", "4", "7", "caught up 9"], &["7", "4", "1", "caught up 9"]),
        ("n in (4, 5)", &[failed], &[failed]),
        ("n = 3", &["3", failed], &[failed]),
    ];
    for (text, forwards, backwards) in cases {
        let read = filter(text).with_scan(three);
        assert_eq!(told(&service, read.clone()).await, strings(forwards), "{text}");
        let read = read.with_newest_first();
        assert_eq!(told(&service, read).await, strings(backwards), "{text}, newest first");
    }
    // What is still to come is waited for without a limit.
    let live = filter("n = 9").with_until(ReadUntil::Never).with_scan(most().with_max_messages(1));
    assert_eq!(told(&service, live).await, strings(&["9", "caught up 9"]));
}
