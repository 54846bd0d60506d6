//! The errors of a block: by fingerprint and type, how often in each minute, and in which jobs.

use std::collections::BTreeMap;

use naq_core::Timestamp;
use naq_core::events::RecordedEvent;

use super::cell::Minute;
use super::fingerprint::{cut, fingerprint};

/// How many jobs are kept of an error: those that had it last.
pub(crate) const SAMPLES: usize = 3;

/// The longest type of error that is told apart, in bytes.
const LONGEST_TYPE: usize = 128;

/// Which error.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ErrorKey {
    /// Its message without what varies.
    pub(crate) fingerprint: String,
    /// Its `error_type`.
    pub(crate) error_type: Option<String>,
}

impl ErrorKey {
    /// The error of an event; `None` where it tells of none.
    pub(crate) fn of(recorded: &RecordedEvent) -> Option<Self> {
        let event = &recorded.event;
        Some(Self {
            fingerprint: fingerprint(event.error.as_deref()?),
            error_type: event.error_type.as_deref().map(|name| cut(name, LONGEST_TYPE).to_owned()),
        })
    }

    /// How many bytes it takes in memory, about.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.fingerprint.len() + self.error_type.as_ref().map_or(0, String::len)
    }
}

/// How often it occurred.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Occurrences {
    /// By minute.
    pub(crate) minutes: BTreeMap<Minute, u64>,
    /// How many of them are told by repeated events, by minute; none of zero.
    pub(crate) repeats: BTreeMap<Minute, u64>,
    /// The first and the last time.
    pub(crate) times: Option<(Timestamp, Timestamp)>,
    /// The jobs that had it last, each once, the newest first.
    pub(crate) samples: Vec<(Timestamp, String)>,
}

impl Occurrences {
    /// How many in all.
    pub(crate) fn count(&self) -> u64 {
        self.minutes.values().sum()
    }

    /// Adds an occurrence.
    pub(crate) fn observe(&mut self, recorded: &RecordedEvent) {
        let at = recorded.timestamp();
        *self.minutes.entry(Minute::of(at)).or_default() += 1;
        self.extend_times((at, at));
        if let Some(job) = recorded.event.job_id.as_deref() {
            self.sample(at, job);
        }
    }

    /// The occurrence at that time was told by an event that repeats another one.
    pub(super) fn was_repeated(&mut self, at: Timestamp) {
        *self.repeats.entry(Minute::of(at)).or_default() += 1;
    }

    /// How many bytes they take in memory, about.
    pub(super) fn weight(&self) -> usize {
        let samples: usize = self.samples.iter().map(|it| size_of_val(it) + it.1.len()).sum();
        let minutes = self.minutes.len() + self.repeats.len();
        size_of::<Self>() + minutes * size_of::<(Minute, u64)>() + samples
    }

    /// The same with all of them in the minute of the first, where that is known.
    pub(super) fn in_one_minute(&self) -> Self {
        let mut one = self.clone();
        if let Some((first, _)) = self.times {
            let all = |counts: &BTreeMap<Minute, u64>| counts.values().sum();
            for counts in
                [&mut one.minutes, &mut one.repeats].into_iter().filter(|it| !it.is_empty())
            {
                *counts = BTreeMap::from([(Minute::of(first), all(counts))]);
            }
        }
        one
    }

    /// Adds all of another one.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in
            [(&mut self.minutes, &other.minutes), (&mut self.repeats, &other.repeats)]
        {
            for (minute, count) in theirs {
                *mine.entry(*minute).or_default() += count;
            }
        }
        self.merge_ends(other);
    }

    /// Adds when and in which jobs another one occurred, and not how often.
    pub(crate) fn merge_ends(&mut self, other: &Self) {
        other.times.into_iter().for_each(|times| self.extend_times(times));
        other.samples.iter().for_each(|(at, job)| self.sample(*at, job));
    }

    fn extend_times(&mut self, (first, last): (Timestamp, Timestamp)) {
        self.times = Some(self.times.map_or((first, last), |(had_first, had_last)| {
            (had_first.min(first), had_last.max(last))
        }));
    }

    /// Keeps a job where it is among the newest: of equal times the greater
    /// id, so that the order of adding doesn't matter.
    fn sample(&mut self, at: Timestamp, job: &str) {
        if let Some(place) = self.samples.iter().position(|(_, had)| had == job) {
            if self.samples[place].0 >= at {
                return;
            }
            self.samples.remove(place);
        }
        let place = self.samples.partition_point(|(had, id)| (*had, id.as_str()) > (at, job));
        if place < SAMPLES {
            self.samples.insert(place, (at, job.to_owned()));
            self.samples.truncate(SAMPLES);
        }
    }
}
