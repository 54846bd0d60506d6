//! The errors of a range of time by how often they occurred, with their trend.

use std::collections::HashMap;
use std::sync::Arc;

use naq_core::events::{ErrorGroup, Filter, RecordedEvent, TimeRange, TopErrors, TopErrorsRequest};
use naq_core::{Result, Timestamp};

use crate::answer::{Question, Sources};
use crate::digests::{
    Cell, CellFilter, Digest, ErrorKey, Grain, Key, Minute, MinuteRange, Occurrences, Tally,
};
use crate::read::Meter;

/// The operation that errors name.
pub(crate) const OPERATION: &str = "top_errors";

/// Ranks the errors of a range: from digests, where there are and no filter is
/// asked.
pub(crate) async fn top_errors(
    sources: Sources<'_>,
    meter: &Arc<Meter>,
    request: TopErrorsRequest,
) -> Result<TopErrors> {
    let open = sources.log.open(OPERATION).await?;
    let everything = CellFilter::of(&Filter::new()).filter(|_| request.filter.is_empty());
    let question = Question {
        operation: OPERATION,
        open: &open,
        filter: &request.filter,
        cells: everything.as_ref(),
        // When an error was seen first is known from the whole log alone.
        range: MinuteRange::default(),
        meter,
    };
    let mut fold = ErrorsFold::new(&request, open.opened_at);
    let answered = sources.answer(&question, &mut fold).await?;
    let mut answer = fold.finish();
    answer.basis = answered.basis;
    Ok(answer)
}

/// Minutes from one to another, both included.
type Minutes = (Minute, Minute);

struct ErrorsFold<'a> {
    request: &'a TopErrorsRequest,
    range: Minutes,
    before: Option<Minutes>,
    groups: HashMap<ErrorKey, Group>,
    unlisted: u64,
}

/// What is known of an error.
#[derive(Default)]
struct Group {
    count: u64,
    count_before: u64,
    /// When and in which jobs, without its minutes.
    ends: Occurrences,
}

impl<'a> ErrorsFold<'a> {
    fn new(request: &'a TopErrorsRequest, now: Timestamp) -> Self {
        let range = MinuteRange::new(request.start, request.end).minutes();
        let before = request.start.and_then(|start| {
            let first = Minute::of(start).0;
            let length = Minute::of(request.end.unwrap_or(now)).0 - first + 1;
            (length > 0).then_some((Minute(first - length), Minute(first - 1)))
        });
        Self { request, range, before, groups: HashMap::new(), unlisted: 0 }
    }

    fn add(&mut self, error: &ErrorKey, more: &Occurrences) {
        // Looked up twice, because an entry would need an owned key each time.
        if !self.groups.contains_key(error) {
            if self.groups.len() >= TopErrors::MAX_GROUPS {
                self.unlisted += more.count();
                return;
            }
            self.groups.insert(error.clone(), Group::default());
        }
        let Some(group) = self.groups.get_mut(error) else { return };
        let within = |(first, last): Minutes| more.minutes.range(first..=last).map(|it| it.1);
        group.count += within(self.range).sum::<u64>();
        group.count_before += self.before.map_or(0, |before| within(before).sum());
        group.ends.merge_ends(more);
    }

    fn finish(self) -> TopErrors {
        let request = self.request;
        let time = |(first, last): Minutes| TimeRange {
            start: Some(first.start()),
            end: Some(last.end()),
        };
        let asked = time(self.range);
        let range = TimeRange {
            start: asked.start.filter(|_| request.start.is_some()),
            end: asked.end.filter(|_| request.end.is_some()),
        };
        let mut answer = TopErrors::new(range, self.before.map(time));
        answer.unlisted = self.unlisted;
        for (error, group) in self.groups {
            let Some((first, last)) = group.ends.times.filter(|_| group.count > 0) else {
                continue;
            };
            if request.new_since.is_some_and(|since| first < since) {
                continue;
            }
            answer.total += group.count;
            answer.different += 1;
            let ErrorKey { fingerprint, error_type } = error;
            let mut listed = ErrorGroup::new(fingerprint, error_type, group.count, (first, last));
            listed.count_before = self.before.map(|_| group.count_before);
            listed.jobs = group.ends.samples.into_iter().map(|(_, job)| job).collect();
            answer.errors.push(listed);
        }
        answer.errors.sort_by(|a, b| {
            let names = (&a.fingerprint, &a.error_type).cmp(&(&b.fingerprint, &b.error_type));
            b.count.cmp(&a.count).then(names)
        });
        answer.errors.truncate(request.limit);
        answer
    }
}

impl Tally for ErrorsFold<'_> {
    fn grain(&self) -> Grain {
        Grain::Whole
    }

    fn cuts(&self) -> Vec<Minute> {
        let (first, last) = self.range;
        let before = self.before.map(|(first, _)| first);
        [first, Minute(last.0 + 1)].into_iter().chain(before).collect()
    }

    fn lacks(&self, digest: &Digest) -> bool {
        digest.unlisted_errors > 0
    }

    fn digest(&mut self, digest: &Digest) {
        self.unlisted += digest.unlisted_errors;
        for (error, occurrences) in &digest.errors {
            self.add(error, occurrences);
        }
    }

    fn cells(&mut self, _: &Digest, _: &[(Key, Cell)]) {}

    fn event(&mut self, recorded: &RecordedEvent) -> bool {
        if !self.request.filter.matches_recorded(recorded) {
            return false;
        }
        let Some(error) = ErrorKey::of(recorded) else { return false };
        let mut once = Occurrences::default();
        once.observe(recorded);
        self.add(&error, &once);
        let (first, last) = self.range;
        once.minutes.range(first..=last).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use naq_core::events::{Event, Position};

    use super::*;

    fn failure(second: i64, error: &str, job: &str) -> RecordedEvent {
        let at = Timestamp::from_nanos(second * 1_000_000_000);
        let event = Event::job_failed(job, error, 1.0).with_timestamp(at);
        let payload = serde_json::to_vec(&event).unwrap();
        let position = Position::new(Timestamp::from_nanos(0), 1);
        RecordedEvent::decode(position, at, "events.x".to_owned(), payload.into()).unwrap()
    }

    fn asked(request: &TopErrorsRequest) -> TopErrors {
        let mut fold = ErrorsFold::new(request, Timestamp::from_nanos(600_000_000_000));
        for (second, error, job) in [
            (10, "disk 7 is full", "a"),
            (250, "disk 8 is full", "b"),
            (310, "disk 9 is full", "c"),
            (420, "disk 9 is full", "d"),
            (430, "reset by peer", "e"),
            (431, "reset by peer", "f"),
        ] {
            fold.event(&failure(second, error, job));
        }
        fold.finish()
    }

    #[test]
    fn a_range_is_compared_with_the_one_before_in_whole_minutes() {
        let at = |second: i64| Some(Timestamp::from_nanos(second * 1_000_000_000));
        // The minutes 5 to 7, and 2 to 4 before them.
        let answer = asked(&TopErrorsRequest::default().with_range(at(301), at(421)));
        let range = |start, end| TimeRange {
            start: at(start),
            end: at(end).map(|end| Timestamp::from_nanos(end.as_nanos() - 1)),
        };
        assert_eq!((answer.time_range, answer.before), (range(300, 480), Some(range(120, 300))));
        let found: Vec<_> = answer
            .errors
            .iter()
            .map(|error| (error.fingerprint.as_str(), error.count, error.count_before))
            .collect();
        assert_eq!(found, [("disk # is full", 2, Some(1)), ("reset by peer", 2, Some(0))]);
        let disk = &answer.errors[0];
        assert_eq!((Some(disk.first_seen), Some(disk.last_seen)), (at(10), at(420)));
        assert_eq!(disk.jobs, ["d", "c", "b"]);
        assert_eq!((answer.total, answer.different), (4, 2));
    }

    #[test]
    fn what_was_there_before_is_not_new() {
        let since = Timestamp::from_nanos(400_000_000_000);
        let answer = asked(&TopErrorsRequest::default().with_new_since(since));
        assert_eq!((answer.errors.len(), answer.total), (1, 2));
        assert_eq!(answer.errors[0].fingerprint, "reset by peer");
        assert_eq!(answer.errors[0].count_before, None);
        let first = asked(&TopErrorsRequest::default().with_limit(1));
        assert_eq!((first.errors.len(), first.different, first.total), (1, 2, 6));
        assert_eq!(first.errors[0].count, 4);
    }
}
