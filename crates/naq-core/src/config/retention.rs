//! The table `events.retention`: how long events of each type are kept.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use super::field::{Field, entry_of_names};
use super::setting::Setting;
use super::{ConfigProblem, KeyDoc, format_duration};
use crate::events::EventType;
use crate::token::check_type;

/// The ages that a type of event may have.
const AGES: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(86_400 * 36_500);

/// What a job's end is told by.
const ENDS: [EventType; 3] =
    [EventType::JobCompleted, EventType::JobFailed, EventType::JobCancelled];

/// What says that a job has not come to its end: without the event of its end
/// behind it, the job looks as if it still ran.
const BEFORE_THE_END: [EventType; 8] = [
    EventType::JobScheduled,
    EventType::JobEnqueued,
    EventType::JobWaiting,
    EventType::JobStarted,
    EventType::JobProgress,
    EventType::JobPaused,
    EventType::JobResumed,
    EventType::JobRetryScheduled,
];

/// How long events are kept, by type; a type without an age is kept for as
/// long as the stream's limits let it.
///
/// Ages are by the time of storing, from a second to a hundred years.
///
/// ```
/// use naq_core::config::NaqConfig;
///
/// let config = NaqConfig::from_toml_str(
///     r#"
///     [events.retention]
///     worker_heartbeat = "10m"
///     job_failed = "90d"
///     "*" = "30d"
///     "#,
/// )?;
/// let ages = &config.events.retention;
/// assert_eq!(ages.of("job_started").map(|age| age.as_secs()), Some(30 * 86_400));
/// # Ok::<(), naq_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionAges(BTreeMap<String, Duration>);

impl RetentionAges {
    /// The name that stands for every type that isn't named.
    pub const OTHERS: &'static str = "*";

    /// Sets the age of a type, or with [`OTHERS`](Self::OTHERS) of all that aren't named.
    #[must_use]
    pub fn with_age(mut self, event_type: impl Into<String>, age: Duration) -> Self {
        self.0.insert(event_type.into(), age);
        self
    }

    /// Whether nothing has an age.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How long events of a type are kept; `None` for as long as the stream's limits let them.
    #[must_use]
    pub fn of(&self, event_type: &str) -> Option<Duration> {
        self.0.get(event_type).copied().or_else(|| self.others())
    }

    /// How long events of a type that isn't named are kept.
    #[must_use]
    pub fn others(&self) -> Option<Duration> {
        self.0.get(Self::OTHERS).copied()
    }

    /// The types that are named, with their ages, by name.
    pub fn named(&self) -> impl Iterator<Item = (&str, Duration)> {
        let is_named = |(name, _): &(&String, &Duration)| name.as_str() != Self::OTHERS;
        self.0.iter().filter(is_named).map(|(name, age)| (name.as_str(), *age))
    }

    /// The greatest age of any type; `None` where nothing has an age.
    #[must_use]
    pub fn greatest(&self) -> Option<Duration> {
        self.0.values().max().copied()
    }

    /// The age by which every event is gone, whatever its type; `None` where some are kept.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        self.others().and_then(|_| self.greatest())
    }

    /// The types that are named, that naq doesn't know, and that are nearly one
    /// that it knows: a slip of the pen, or a type of one's own.
    #[must_use]
    pub fn doubtful(&self) -> Vec<ConfigProblem> {
        let known = EventType::KNOWN.iter().map(EventType::as_str);
        self.named()
            .filter_map(|(name, _)| ConfigProblem::nearly_known_type(name, known.clone()))
            .collect()
    }

    /// The end that would go before something earlier, and what that is.
    fn contradiction(&self, end: &EventType) -> Option<&'static EventType> {
        let age = self.of(end.as_str())?;
        let is_kept_longer =
            |earlier: &&EventType| self.of(earlier.as_str()).is_none_or(|kept| kept > age);
        BEFORE_THE_END.iter().find(is_kept_longer)
    }

    /// What gives an age to all that have none, such that no end goes before them.
    fn age_for_others(&self) -> String {
        let least = ENDS.iter().filter_map(|end| self.of(end.as_str())).min();
        least.map_or_else(String::new, |age| {
            let age = format_duration(age);
            format!("; `\"{}\" = \"{age}\"` gives one to all that are not named", Self::OTHERS)
        })
    }
}

impl Field for RetentionAges {
    fn assign(&mut self, key: &str, value: &Value) -> Vec<ConfigProblem> {
        let Value::Object(table) = value else {
            return vec![ConfigProblem::new(key, "must be a table of types with an age each")];
        };
        let mut problems = Vec::new();
        for (name, value) in table {
            match Option::<Duration>::read(value) {
                Ok(Some(age)) => {
                    self.0.insert(name.clone(), age);
                }
                Ok(None) => {
                    self.0.remove(name);
                }
                Err(rule) => problems.push(ConfigProblem::new(name, rule).inside(key)),
            }
        }
        problems
    }

    fn problems(&self, key: &str) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        for (name, age) in &self.0 {
            let told = |rule: String| ConfigProblem::new(name, rule).inside(key);
            if name != Self::OTHERS
                && let Err(error) = check_type(name)
            {
                problems.push(told(error.message().to_owned()));
            }
            if !AGES.contains(age) {
                let (low, high) = (AGES.start().show(), AGES.end().show());
                problems.push(told(format!("must be from {low} to {high}, and is {}", age.show())));
            }
        }
        for end in &ENDS {
            let Some(earlier) = self.contradiction(end) else { continue };
            let (kept, remedy) = self.of(earlier.as_str()).map_or_else(
                || ("is kept without an age".to_owned(), self.age_for_others()),
                |age| (format!("is kept for {}", format_duration(age)), String::new()),
            );
            let named = self.0.contains_key(end.as_str());
            let name = if named { end.as_str() } else { Self::OTHERS };
            problems.push(
                ConfigProblem::new(
                    name,
                    format!(
                        "must not let `{end}` go before `{earlier}`, which {kept}: the job would \
                         look as if it still ran{remedy}"
                    ),
                )
                .inside(key),
            );
        }
        problems
    }

    fn docs(&self, key: &str, _range: Option<(String, String)>, help: &[&str]) -> Vec<KeyDoc> {
        let range = (AGES.start().show(), AGES.end().show());
        vec![entry_of_names::<Duration>(key, Some(range), help)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NaqConfig;

    fn read(table: &str) -> Result<RetentionAges, String> {
        NaqConfig::from_toml_str(&format!("[events.retention]\n{table}"))
            .map(|config| config.events.retention)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_type_has_its_own_age_and_others_that_of_the_star() {
        let ages = read(
            "job_completed = \"30d\"\njob_failed = \"90d\"\nworker_heartbeat = \"10m\"\n\"*\" = \"30d\"\n",
        )
        .unwrap();
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        assert_eq!((ages.of("job_failed"), ages.of("invoice_sent")), (days(90), days(30)));
        assert_eq!((ages.others(), ages.longest()), (days(30), days(90)));
        let named: Vec<_> = ages.named().map(|(name, _)| name).collect();
        assert_eq!(named, ["job_completed", "job_failed", "worker_heartbeat"]);
        assert_eq!(read("worker_heartbeat = \"10m\"\n").unwrap().longest(), None);
    }

    #[test]
    fn a_variable_sets_an_age_and_takes_one_away() {
        let config =
            NaqConfig::from_toml_str("[events.retention]\nlog = \"1h\"\nworker_idle = 60\n")
                .unwrap()
                .with_vars([
                    ("NAQ_EVENTS_RETENTION_WORKER_IDLE", "none"),
                    ("NAQ_EVENTS_RETENTION_WORKER_HEARTBEAT", "10m"),
                ])
                .unwrap();
        let named: Vec<_> = config.events.retention.named().map(|(name, _)| name).collect();
        assert_eq!(named, ["log", "worker_heartbeat"]);
    }

    #[test]
    fn an_end_that_goes_before_what_it_ends_is_refused() {
        for (table, key, earlier) in [
            ("job_completed = \"1d\"\n", "job_completed", "job_scheduled"),
            ("job_cancelled = \"1d\"\n\"*\" = \"2d\"\n", "job_cancelled", "job_scheduled"),
            ("job_started = \"3d\"\n\"*\" = \"2d\"\n", "*", "job_started"),
            (
                "job_failed = \"1h\"\njob_progress = \"2h\"\n\"*\" = \"1h\"\n",
                "job_failed",
                "job_progress",
            ),
        ] {
            let error = read(table).unwrap_err();
            assert!(error.contains(&format!("`events.retention.{key}` must not let")), "{error}");
            assert!(error.contains(&format!("before `{earlier}`")), "{error}");
        }
        // What only makes noise may go earlier, and an end may stay longer.
        for table in [
            "job_progress = \"1h\"\nworker_heartbeat = \"10m\"\nlog = \"1h\"\ninvoice_sent = 5\n",
            "job_failed = \"90d\"\njob_progress = \"1h\"\n\"*\" = \"30d\"\n",
        ] {
            read(table).unwrap();
        }
    }

    #[test]
    fn the_age_that_others_lack_is_named_with_what_gives_them_one() {
        let error = read("job_completed = \"30d\"\njob_failed = \"90d\"\n").unwrap_err();
        let remedy = "`\"*\" = \"30d\"` gives one to all that are not named";
        assert_eq!(error.matches(remedy).count(), 2, "{error}");
        read("job_completed = \"30d\"\njob_failed = \"90d\"\n\"*\" = \"30d\"\n").unwrap();
    }

    #[test]
    fn a_type_that_is_nearly_a_known_one_is_told_and_one_of_ones_own_is_not() {
        let ages = read(
            "job_faild = \"1d\"\n\"job failed\" = \"1d\"\ninvoice_sent = \"1d\"\nlog = \"1d\"\n",
        );
        let told: Vec<_> = ages.unwrap().doubtful().iter().map(ToString::to_string).collect();
        let words = "is no type that naq knows; did you mean `job_failed`?";
        assert_eq!(told, ["job failed", "job_faild"].map(|name| format!("`{name}` {words}")));
    }

    #[test]
    fn what_is_no_age_or_type_is_named_with_its_rule() {
        let told = |table: &str| read(table).unwrap_err();
        assert!(told("log = \"soon\"\n").contains("`events.retention.log` must be a duration"));
        assert!(told("log = \"0s\"\n").contains("must be from 1s to 36500d, and is 0s"));
        assert!(told("\"\" = \"1d\"\n").contains("events.retention"));
        let error = NaqConfig::from_toml_str("[events]\nretention = \"30d\"\n").unwrap_err();
        assert!(error.to_string().contains("must be a table of types with an age each"));
    }
}
