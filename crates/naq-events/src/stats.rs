//! Counts over a range of time, exact.

use std::collections::BTreeMap;
use std::sync::Arc;

use naq_core::events::{EventStats, RecordedEvent, StatsRequest};
use naq_core::{Result, Timestamp};

use crate::answer::{Question, Sources};
use crate::digests::{Cell, CellFilter, Digest, Grain, Key, MinuteRange, Name, Tally, listed};
use crate::read::Meter;

/// The operation that errors name.
pub(crate) const OPERATION: &str = "get_event_stats";

/// Counts the events whose own timestamp lies in the range.
///
/// From digests, where there are and the filter is about what they tell apart.
pub(crate) async fn stats(
    sources: Sources<'_>,
    meter: &Arc<Meter>,
    request: StatsRequest,
) -> Result<EventStats> {
    let open = sources.log.open(OPERATION).await?;
    let mut stats = EventStats::default();
    stats.stream_size = open.info.state.bytes;
    stats.stream_messages = open.info.state.messages;
    stats.subjects.clone_from(&open.info.config.subjects);
    stats.num_subjects = open.info.state.num_subjects;
    (stats.start_time, stats.end_time) = (request.start, request.end);
    let cells = CellFilter::of(&request.filter);
    let question = Question {
        operation: OPERATION,
        open: &open,
        filter: &request.filter,
        cells: cells.as_ref(),
        range: MinuteRange::new(request.start, request.end),
        meter,
    };
    let mut tally = StatsTally { request: &request, cells: cells.as_ref(), stats };
    let answered = sources.answer(&question, &mut tally).await?;
    stats = tally.stats;
    (stats.malformed, stats.gone) = (answered.basis.malformed, answered.gone);
    stats.basis = answered.basis;
    Ok(stats)
}

/// Adds up the counts from cells and events alike.
#[derive(Clone)]
struct StatsTally<'a> {
    request: &'a StatsRequest,
    /// The filter as it is asked of cells.
    cells: Option<&'a CellFilter>,
    stats: EventStats,
}

impl Tally for StatsTally<'_> {
    fn grain(&self) -> Grain {
        Grain::Whole
    }

    fn lacks(&self, digest: &Digest) -> bool {
        let asks = |cells: &CellFilter| cells.asks_for(digest.dropped);
        digest.dropped.any() || self.cells.is_some_and(asks)
    }

    fn digest(&mut self, _: &Digest) -> u64 {
        0
    }

    fn cells(&mut self, digest: &Digest, cells: &[(Key, Cell)]) -> u64 {
        let Some(filter) = self.cells else { return 0 };
        let mut choice = filter.for_digest(digest);
        // Counted by place, and by name once for each digest.
        let mut counts = [const { Vec::<u64>::new() }; 3];
        let (stats, mut repeats) = (&mut self.stats, 0);
        for (key, cell) in cells.iter().filter(|(key, _)| choice.passes(key)) {
            stats.total_events += cell.count;
            repeats += cell.repeats;
            stats.lost = stats.lost.saturating_add(cell.lost);
            let first = stats.first_event.map_or(cell.first, |first| first.min(cell.first));
            let last = stats.last_event.map_or(cell.last, |last| last.max(cell.last));
            (stats.first_event, stats.last_event) = (Some(first), Some(last));
            for (counts, name) in counts.iter_mut().zip([key.event_type, key.queue, key.job_name]) {
                match name {
                    Name::Absent => {}
                    Name::Dropped => stats.unlisted += cell.count,
                    Name::At(place) => {
                        let place = place as usize;
                        if counts.len() <= place {
                            counts.resize(place + 1, 0);
                        }
                        counts[place] += cell.count;
                    }
                }
            }
        }
        let groups = [&mut stats.event_types, &mut stats.queues, &mut stats.job_names];
        for (groups, counts) in groups.into_iter().zip(counts) {
            for (name, count) in digest.names.iter().zip(counts).filter(|(_, count)| *count > 0) {
                match group(groups, name, EventStats::MAX_GROUPS) {
                    Some(total) => *total += count,
                    None => stats.unlisted += count,
                }
            }
        }
        repeats
    }

    fn event(&mut self, recorded: &RecordedEvent) -> bool {
        self.request.filter.matches_recorded(recorded) && observe(&mut self.stats, recorded)
    }
}

/// Counts an event that lies in the range; answers whether it does.
fn observe(stats: &mut EventStats, recorded: &RecordedEvent) -> bool {
    let (event, at) = (&recorded.event, recorded.timestamp());
    if !in_range(at, stats.start_time, stats.end_time) {
        return false;
    }
    stats.total_events += 1;
    stats.lost = stats.lost.saturating_add(event.lost_count().unwrap_or(0));
    stats.first_event = Some(stats.first_event.map_or(at, |first| first.min(at)));
    stats.last_event = Some(stats.last_event.map_or(at, |last| last.max(at)));
    let groups = [
        (&mut stats.event_types, Some(event.event_type.as_str())),
        (&mut stats.queues, event.queue.as_deref()),
        (&mut stats.job_names, event.job_name.as_deref()),
    ];
    for (counts, name) in groups {
        let Some(name) = name else { continue };
        match group(counts, &listed(name), EventStats::MAX_GROUPS) {
            Some(count) => *count += 1,
            None => stats.unlisted += 1,
        }
    }
    true
}

/// Whether a time lies in a range, both ends included.
pub(crate) fn in_range(at: Timestamp, start: Option<Timestamp>, end: Option<Timestamp>) -> bool {
    start.is_none_or(|start| at >= start) && end.is_none_or(|end| at <= end)
}

/// The group of a name, made if there is room for one more.
pub(crate) fn group<'a, T: Default>(
    groups: &'a mut BTreeMap<String, T>,
    name: &str,
    most: usize,
) -> Option<&'a mut T> {
    // Looked up twice, because an entry would need an owned name for each event.
    if !groups.contains_key(name) {
        if groups.len() >= most {
            return None;
        }
        groups.insert(name.to_owned(), T::default());
    }
    groups.get_mut(name)
}

#[cfg(test)]
mod tests {
    use naq_core::events::Position;

    use super::*;

    #[test]
    fn what_events_tell_of_holes_is_summed_up() {
        let mut stats = EventStats::default();
        for payload in [
            r#"{"type":"events_lost","count":3}"#,
            r#"{"type":"events_lost","count":18446744073709551615}"#,
            r#"{"type":"events_lost"}"#,
            r#"{"type":"log","count":7}"#,
        ] {
            let at = Timestamp::default();
            let position = Position::new(at, 1);
            let subject = "events.x".to_owned();
            let recorded = RecordedEvent::decode(position, at, subject, payload.into()).unwrap();
            observe(&mut stats, &recorded);
        }
        assert_eq!((stats.total_events, stats.lost), (4, u64::MAX));
    }

    #[test]
    fn a_range_has_both_its_ends() {
        let at = Timestamp::from_nanos;
        assert!(in_range(at(5), Some(at(5)), Some(at(5))));
        assert!(!in_range(at(4), Some(at(5)), None));
        assert!(!in_range(at(6), None, Some(at(5))));
        assert!(in_range(at(6), None, None));
    }

    #[test]
    fn groups_beyond_the_bound_are_not_made_and_known_ones_go_on() {
        let mut groups = BTreeMap::<String, u64>::new();
        *group(&mut groups, "a", 1).unwrap() += 1;
        assert!(group(&mut groups, "b", 1).is_none());
        *group(&mut groups, "a", 1).unwrap() += 1;
        assert_eq!(groups["a"], 2);
    }
}
