//! Random readings and histories, by an index where there is one, and what the
//! model has of them.

use futures::TryStreamExt;
use naq_core::events::{
    EntityKind, Event, EventItem, EventQuery, HistoryRequest, MadeFrom, Position, ReadEvents,
    ReadStart, ReadUntil,
};
use naq_tests::own_log::Keeps;

use super::cases::{Case, cases};
use super::expressions;
use super::model::Stored;
use super::questions::{Asked, Held};

/// The names of the indexes of a story, and their fields.
pub(super) const INDEXES: [(&str, &[&str]); 2] =
    [("workers", &["worker_id"]), ("errors", &["queue", "error_type"])];

/// The readings of a longer log are the business of other tests.
const FEW: u64 = 10_000;

impl Asked<'_> {
    /// Reads and asks for histories what an index may tell.
    pub(super) async fn readings(&self, random: &mut fastrand::Rng, held: &mut Held) {
        if self.model.count() > FEW {
            return;
        }
        let is_by_index = |it: &Case| it.source == Some(MadeFrom::Index);
        let by_index: Vec<_> = cases().into_iter().filter(is_by_index).collect();
        let case = random.choice(&by_index).unwrap();
        self.reading(random, case, held).await;
        let case = expressions::some(random, self.span);
        self.reading(random, &case, held).await;
        let worker = format!("w{}", random.u8(..6));
        if self.keeps == Keeps::Indexes {
            let is_of = |event: &Event| event.worker_id.as_deref() == Some(worker.as_str());
            self.history(random, (EntityKind::Worker, &worker), is_of).await;
        }
        let job = format!("job-{}", random.u8(..4));
        let is_of = |event: &Event| event.job_id.as_deref() == Some(job.as_str());
        self.history(random, (EntityKind::Job, &job), is_of).await;
    }

    async fn reading(&self, random: &mut fastrand::Rng, case: &Case, held: &mut Held) {
        let (model, mut options) = (self.model, ReadEvents::default().with_filter(case.filter()));
        let (mut from, mut to) = (1, model.end());
        match random.u8(..3) {
            0 => {
                from = random.u64(model.begin + 1..=model.end());
                options.start = ReadStart::Sequence(from);
            }
            1 => {
                from = random.u64(model.begin + 1..=model.end());
                let created = self.created;
                options.start = ReadStart::After(Position::new(created, from - 1));
            }
            _ => {}
        }
        if random.u8(..3) == 0 {
            to = random.u64(from.max(model.begin + 1)..=model.end());
            options.until = ReadUntil::Sequence(to);
        }
        options.newest_first = random.bool();
        options.limit = random.bool().then(|| random.u64(1..60));
        let about = format!("{}: {options:?}", self.about);

        let explained = self.service.explain(options.clone()).await.unwrap();
        let index = explained.index.as_ref();
        let is_known = case.source == Some(MadeFrom::Index);
        assert!(index.is_none() || self.keeps == Keeps::Indexes, "{about}: {explained:?}");
        assert!(!is_known || index.is_some() == (self.keeps == Keeps::Indexes), "{about}");
        let named = index.and_then(|index| index.named).unwrap_or_default();
        held.by_index += u64::from(named > 0);

        let items = self.service.read_events(options.clone());
        let sequence = async |item| match item {
            EventItem::Event(recorded) => Ok(Some((recorded.sequence(), true))),
            EventItem::Malformed(malformed) if is_known => {
                Ok(Some((malformed.position.sequence, false)))
            }
            _ => Ok(None),
        };
        let got: Vec<_> = items.try_filter_map(sequence).try_collect().await.unwrap();

        // What is no event has no such type; by a random filter that is told of some.
        let is_by_type = case.text.contains("type = job");
        let is_meant = |stored: &Stored| match &stored.event {
            Some(event) => (case.passes)(event),
            None => is_known && !is_by_type,
        };
        let there = model.by_sequence().filter(|(sequence, stored)| {
            (from..=to).contains(sequence) && stored.is_there && is_meant(stored)
        });
        let told = there.map(|(sequence, stored)| (sequence, stored.event.is_some()));
        let told: Vec<_> = if options.newest_first { told.rev().collect() } else { told.collect() };
        let mut left = options.limit.unwrap_or(u64::MAX);
        let until_limit = told.into_iter().take_while(|(_, is_event)| {
            let goes_on = left > 0;
            left -= u64::from(goes_on && *is_event);
            goes_on
        });
        assert_eq!(got, until_limit.collect::<Vec<_>>(), "{about}: {explained:?}");
    }

    async fn history(
        &self,
        random: &mut fastrand::Rng,
        (entity, id): (EntityKind, &str),
        is_of: impl Fn(&Event) -> bool,
    ) {
        let mut request = HistoryRequest::new(entity, id).with_limit(random.usize(1..200));
        request.from_end = random.bool();
        let got = self.service.history(request.clone()).await.unwrap();
        let about = format!("{}: {request:?} {:?}", self.about, got.summary);
        let of_it = self
            .model
            .by_sequence()
            .filter(|(_, stored)| stored.is_there && stored.event.as_ref().is_some_and(&is_of));
        let mut expected: Vec<_> = of_it.map(|(sequence, _)| sequence).collect();
        assert_eq!(got.summary.total_events, expected.len() as u64, "{about}");
        let is_empty = self.model.first() > self.model.end();
        assert!(got.summary.includes_mentions || is_empty, "{about}");
        let more = expected.len().saturating_sub(request.limit);
        if request.from_end {
            expected.drain(..more);
        } else {
            expected.truncate(request.limit);
        }
        let told: Vec<_> = got.events.iter().map(|recorded| recorded.sequence()).collect();
        assert_eq!((told, got.summary.truncated), (expected, more > 0), "{about}");
    }
}
