//! What an `events_lost` event says, in words.

use naq_core::Timestamp;
use naq_core::events::{Event, LossReason};

use super::{Paint, Zone, human, sanitize};

/// The words, where the event is one that naq wrote; of another's nothing is presumed.
///
/// The span has no day: it is read below a line that says one, and losses are
/// told as soon as the stream takes events again.
pub(super) fn describe(event: &Event, zone: &Zone, paint: Paint) -> Option<String> {
    let count = event.lost_count()?;
    let lost = match event.reason.as_deref() {
        Some(reason) if reason == LossReason::Unknown.as_str() => "may not be stored",
        _ => "not stored",
    };
    let mut words = vec![paint.bad(format!("{} {lost}", human::counted(count, "event")))];
    words.extend(event.reason.as_deref().map(|reason| sanitize(reason).into_owned()));
    let types = event.custom.get("types")?.as_object()?;
    for (name, count) in types {
        let count = human::count(count.as_u64()?);
        words.push(format!("{} {count}", paint.dim(sanitize(name))));
    }
    let time = |name: &str| -> Option<Timestamp> { event.custom.get(name)?.as_str()?.parse().ok() };
    let (first, last) = (zone.clock(time("first_time")?), zone.clock(time("last_time")?));
    words.push(match first == last {
        true => format!("{} {first}", paint.dim("at")),
        false => format!("{} {first} {} {last}", paint.dim("from"), paint.dim("to")),
    });
    Some(words.join("  "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(event: &Event) -> Option<String> {
        describe(event, &Zone::new(true), Paint::plain())
    }

    #[test]
    fn a_hole_says_how_many_of_what_why_and_when() {
        let event = Event::events_lost(1_003, "drop_newest")
            .with_field("types", json!({"job_progress": 1_000, "log": 3}))
            .with_field("first_time", "2026-11-24T11:59:50.5Z")
            .with_field("last_time", "2026-11-24T12:00:00Z");
        assert_eq!(
            words(&event).as_deref(),
            Some(
                "1,003 events not stored  drop_newest  job_progress 1,000  log 3  from 11:59:50.500 to \
                 12:00:00.000"
            )
        );
    }

    #[test]
    fn of_events_that_nobody_confirmed_it_says_that_they_may_be_missing() {
        let event = Event::events_lost(1, "unknown")
            .with_field("types", json!({"log": 1}))
            .with_field("first_time", "2026-11-24T12:00:00Z")
            .with_field("last_time", "2026-11-24T12:00:00Z");
        assert_eq!(
            words(&event).as_deref(),
            Some("1 event may not be stored  unknown  log 1  at 12:00:00.000")
        );
    }

    #[test]
    fn what_others_wrote_under_that_type_is_left_as_it_is() {
        assert_eq!(words(&Event::events_lost(3, "x")), None);
        assert_eq!(words(&Event::log("x").with_field("count", 3)), None);
        let odd = Event::events_lost(3, "x").with_field("types", json!({"a": "b"}));
        assert_eq!(words(&odd), None);
    }
}
