//! How a group reacts: where it begins, how much at a time, how often, how long.

use std::time::Duration;

use naq_core::{Error, Result, Timestamp};

/// Where a new group begins; one that is there goes on where it stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupStart {
    /// With what is logged from now on.
    #[default]
    New,
    /// With the first event that the log holds.
    Beginning,
    /// With the first event stored at this time or later.
    Time(Timestamp),
    /// With this sequence of the log, at least 1.
    Sequence(u64),
}

/// What making a group's consumer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupSetup {
    /// Create it where it isn't there.
    #[default]
    Ensure,
    /// Use the one that an operator made under the group's name: for members
    /// that have no right to create consumers or streams.
    Assume,
}

/// Which events wait for which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupOrder {
    /// None: up to `concurrency` events in each member at a time, and a retry
    /// comes after later events.
    #[default]
    None,
    /// The events of one job, worker or schedule are handled in stored order,
    /// also across retries and across the members of the group.
    ///
    /// JetStream can't hold back one entity alone, so one event is handled at a
    /// time in the whole group: a round trip for each, and an event that is to
    /// be retried keeps all later ones waiting.
    Entity,
}

impl GroupOrder {
    /// Its name in a consumer's metadata and in the command.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Entity => "entity",
        }
    }
}

/// How a member of a group works.
///
/// ```
/// use std::time::Duration;
///
/// use naq_events::reactions::{GroupStart, ReactOptions};
///
/// let options = ReactOptions::default()
///     .with_start(GroupStart::Beginning)
///     .with_concurrency(64)
///     .with_deadline(Duration::from_secs(5));
/// assert_eq!(options.max_tries, 5);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReactOptions {
    /// Where the group begins if it is new.
    pub start: GroupStart,
    /// Whether to create what is missing.
    pub setup: GroupSetup,
    /// Which events wait for which.
    pub order: GroupOrder,
    /// How many events this member handles at a time: 1 to 1,024, by default 16.
    pub concurrency: usize,
    /// How often an event is handed over before it becomes a dead letter: 1 to
    /// 1,000, by default 5. An event that a member was given and did not begin
    /// with, because it stopped, died or the group was paused, counts as handed
    /// over too; but none becomes a dead letter before a handler began with it.
    /// With 1, an event whose member dies is handed over once more.
    pub max_tries: u64,
    /// The wait before the second try, by default 1 s; it doubles with each
    /// further one, and half of it is jitter.
    pub backoff_min: Duration,
    /// The longest wait between tries, by default 5 min.
    pub backoff_max: Duration,
    /// How long one try may take, by default 30 s; then it has failed.
    pub deadline: Duration,
    /// After how long without a sign of life of a member its events go to
    /// another one: 1 s to 1 h, by default 30 s. A try that takes longer is
    /// kept by signs of life. Holds for a group that is made; one that is
    /// there keeps its own.
    pub ack_wait: Duration,
}

impl Default for ReactOptions {
    fn default() -> Self {
        Self {
            start: GroupStart::default(),
            setup: GroupSetup::default(),
            order: GroupOrder::default(),
            concurrency: 16,
            max_tries: 5,
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(300),
            deadline: Duration::from_secs(30),
            ack_wait: Duration::from_secs(30),
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $with:ident => $field:ident: $type:ty),* $(,)?) => {
        $($(#[$doc])* #[must_use] pub const fn $with(mut self, value: $type) -> Self {
            self.$field = value;
            self
        })*
    };
}

impl ReactOptions {
    setters! {
        /// Sets where the group begins if it is new.
        with_start => start: GroupStart,
        /// Sets whether to create what is missing.
        with_setup => setup: GroupSetup,
        /// Sets which events wait for which.
        with_order => order: GroupOrder,
        /// Sets how many events this member handles at a time.
        with_concurrency => concurrency: usize,
        /// Sets how often an event is handed over before it becomes a dead letter.
        with_max_tries => max_tries: u64,
        /// Sets how long one try may take.
        with_deadline => deadline: Duration,
        /// Sets after how long without a sign of life events go to another member.
        with_ack_wait => ack_wait: Duration,
    }

    /// Sets the shortest and the longest wait between tries.
    #[must_use]
    pub const fn with_backoff(mut self, min: Duration, max: Duration) -> Self {
        self.backoff_min = min;
        self.backoff_max = max;
        self
    }

    /// Tells which rule is broken.
    ///
    /// # Errors
    /// `InvalidArgument` that names the field and its rule.
    pub fn validate(&self) -> Result<()> {
        const HOUR: Duration = Duration::from_secs(3_600);
        const DAY: Duration = Duration::from_secs(86_400);
        let second = Duration::from_secs(1);
        let rules: [(&str, bool, &str); 7] = [
            ("start", self.start != GroupStart::Sequence(0), "must be at least 1"),
            ("concurrency", (1..=1_024).contains(&self.concurrency), "must be 1 to 1024"),
            ("max_tries", (1..=1_000).contains(&self.max_tries), "must be 1 to 1000"),
            ("backoff_min", self.backoff_min <= self.backoff_max, "must not be above backoff_max"),
            ("backoff_max", self.backoff_max <= DAY, "must be at most 1 d"),
            (
                "deadline",
                !self.deadline.is_zero() && self.deadline <= DAY,
                "must be above 0 and at most 1 d",
            ),
            ("ack_wait", (second..=HOUR).contains(&self.ack_wait), "must be 1 s to 1 h"),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((field, _, rule)) => Err(Error::invalid(super::REACT, field, rule)),
            None => Ok(()),
        }
    }

    /// The wait before the next try, `tries` having failed; `jitter` is from 0 to 1.
    pub(super) fn backoff(&self, tries: u64, jitter: f64) -> Duration {
        let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
        let doubled = self.backoff_min.saturating_mul(1 << doublings).min(self.backoff_max);
        doubled.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_break_no_rule_and_each_broken_rule_names_its_field() {
        let fine = ReactOptions::default();
        fine.validate().unwrap();
        let zero = Duration::ZERO;
        for (field, options) in [
            ("start", fine.clone().with_start(GroupStart::Sequence(0))),
            ("concurrency", fine.clone().with_concurrency(0)),
            ("concurrency", fine.clone().with_concurrency(1_025)),
            ("max_tries", fine.clone().with_max_tries(0)),
            ("backoff_min", fine.clone().with_backoff(Duration::from_secs(2), zero)),
            ("backoff_max", fine.clone().with_backoff(zero, Duration::MAX)),
            ("deadline", fine.clone().with_deadline(zero)),
            ("ack_wait", fine.with_ack_wait(zero)),
        ] {
            let error = options.validate().unwrap_err();
            assert_eq!(error.get("field"), Some(field), "{error}");
        }
    }

    #[test]
    fn waits_double_from_one_bound_to_the_other() {
        let second = Duration::from_secs(1);
        let options = ReactOptions::default().with_backoff(second, 10 * second);
        let waits: Vec<_> = (1..=6).map(|tries| options.backoff(tries, 1.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
        assert_eq!(options.backoff(u64::MAX, 0.0), 5 * second);
    }
}
