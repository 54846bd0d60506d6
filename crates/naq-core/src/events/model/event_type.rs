//! What happened: the kinds that naq knows, and every other one unchanged.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::events::Text;

/// What an event is about: whose history it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// A job, named by `job_id`.
    Job,
    /// A worker, named by `worker_id`.
    Worker,
    /// A schedule, named by `schedule_id`.
    Schedule,
}

impl EntityKind {
    /// `job`, `worker` or `schedule`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Worker => "worker",
            Self::Schedule => "schedule",
        }
    }

    /// The field of an event that holds its id: `job_id`, `worker_id` or `schedule_id`.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Job => "job_id",
            Self::Worker => "worker_id",
            Self::Schedule => "schedule_id",
        }
    }
}

impl fmt::Display for EntityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The name of a kind that naq doesn't know, kept as it came.
///
/// Made only by [`EventType::from`], so that a known kind is never hidden in one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomType(Text);

impl CustomType {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! event_types {
    ($($variant:ident = $name:literal, $about:expr, $doc:literal;)*) => {
        /// The kind of an event, the field `type` on the wire.
        ///
        /// Made from any text by `From`; a name that naq doesn't know becomes
        /// [`Custom`](Self::Custom) and is written back as it came. Whether a
        /// name is fit to be logged is checked when it is logged
        /// ([`check_type`](crate::token::check_type)).
        ///
        /// ```
        /// use naq_core::events::EventType;
        ///
        /// assert_eq!(EventType::from("job_failed"), EventType::JobFailed);
        /// assert_eq!(EventType::from("invoice_sent").as_str(), "invoice_sent");
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum EventType {
            $(#[doc = $doc] $variant,)*
            /// A kind that naq doesn't know.
            Custom(CustomType),
        }

        impl EventType {
            /// Every kind that naq knows, in the order in which they are documented.
            pub const KNOWN: &[Self] = &[$(Self::$variant,)*];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Custom(name) => name.as_str(),
                }
            }

            /// What the kind is about; `None` for `log`, `events_lost` and custom kinds, which may be about any.
            #[must_use]
            pub const fn entity_kind(&self) -> Option<EntityKind> {
                match self {
                    $(Self::$variant => $about,)*
                    Self::Custom(_) => None,
                }
            }

            fn known(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

const JOB: Option<EntityKind> = Some(EntityKind::Job);
const WORKER: Option<EntityKind> = Some(EntityKind::Worker);
const SCHEDULE: Option<EntityKind> = Some(EntityKind::Schedule);

event_types! {
    JobEnqueued = "job_enqueued", JOB, "A job was put into a queue.";
    JobWaiting = "job_waiting", JOB, "A job cannot run yet; `reason` says why.";
    JobStarted = "job_started", JOB, "A worker began to run a job.";
    JobProgress = "job_progress", JOB, "A running job tells how far it is.";
    JobCompleted = "job_completed", JOB, "A run of a job came to its end; `success` says how.";
    JobFailed = "job_failed", JOB, "A run of a job failed; `error` says why.";
    JobRetryScheduled = "job_retry_scheduled", JOB, "A failed job will be tried again.";
    JobScheduled = "job_scheduled", JOB, "A job was put down to run at a later time.";
    JobCancelled = "job_cancelled", JOB, "A job was called off.";
    JobPaused = "job_paused", JOB, "A job was halted for a while.";
    JobResumed = "job_resumed", JOB, "A paused job goes on.";
    ScheduleCreated = "schedule_created", SCHEDULE, "A schedule was made.";
    ScheduleTriggered = "schedule_triggered", SCHEDULE, "A schedule brought forth a job.";
    SchedulePaused = "schedule_paused", SCHEDULE, "A schedule was halted for a while.";
    ScheduleResumed = "schedule_resumed", SCHEDULE, "A paused schedule goes on.";
    ScheduleCancelled = "schedule_cancelled", SCHEDULE, "A schedule was called off.";
    ScheduleModified = "schedule_modified", SCHEDULE, "A schedule was changed.";
    SchedulerError = "scheduler_error", SCHEDULE, "The scheduler itself failed at something.";
    WorkerStarted = "worker_started", WORKER, "A worker came up.";
    WorkerStopped = "worker_stopped", WORKER, "A worker went down in order.";
    WorkerIdle = "worker_idle", WORKER, "A worker has nothing to do.";
    WorkerBusy = "worker_busy", WORKER, "A worker has work.";
    WorkerHeartbeat = "worker_heartbeat", WORKER, "A worker is alive.";
    WorkerError = "worker_error", WORKER, "A worker failed at something beside its jobs.";
    Log = "log", None, "A message, about anything or nothing.";
    EventsLost = "events_lost", None,
        "The log has a hole: events were given up; `count`, `types` and `reason` say which.";
}

impl EventType {
    /// Whether a job's run is over with it: completed, failed or cancelled.
    ///
    /// A failed job may still be tried again; `job_retry_scheduled` then follows.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::JobCompleted | Self::JobFailed | Self::JobCancelled)
    }

    /// Whether it is about a job.
    #[must_use]
    pub fn is_job(&self) -> bool {
        self.entity_kind() == JOB
    }

    /// Whether naq doesn't know it.
    #[must_use]
    pub const fn is_custom(&self) -> bool {
        matches!(self, Self::Custom(_))
    }
}

impl From<&str> for EventType {
    fn from(name: &str) -> Self {
        Self::known(name).unwrap_or_else(|| Self::Custom(CustomType(Text::from(name))))
    }
}

impl From<String> for EventType {
    fn from(name: String) -> Self {
        Self::known(&name).unwrap_or_else(|| Self::Custom(CustomType(Text::from(name))))
    }
}

impl From<&String> for EventType {
    fn from(name: &String) -> Self {
        Self::from(name.as_str())
    }
}

impl From<&EventType> for EventType {
    fn from(event_type: &Self) -> Self {
        event_type.clone()
    }
}

impl FromStr for EventType {
    type Err = std::convert::Infallible;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(Self::from(name))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl PartialEq<str> for EventType {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for EventType {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_kind_is_read_back_from_its_name() {
        for kind in EventType::KNOWN {
            assert_eq!(EventType::from(kind.as_str()), *kind);
            assert!(!kind.is_custom());
        }
        assert_eq!(EventType::KNOWN.len(), 26);
    }

    #[test]
    fn an_unknown_kind_is_kept_as_it_came() {
        let kind = EventType::from("Job_Started ");
        assert!(kind.is_custom());
        assert_eq!(kind.as_str(), "Job_Started ");
        assert_eq!(kind.entity_kind(), None);
    }

    #[test]
    fn the_name_tells_what_a_kind_is_about() {
        for kind in EventType::KNOWN {
            let prefix = kind.as_str().split('_').next().unwrap_or_default();
            let expected = match prefix {
                "job" => JOB,
                "worker" => WORKER,
                "schedule" | "scheduler" => SCHEDULE,
                _ => None,
            };
            assert_eq!(kind.entity_kind(), expected, "{kind}");
        }
    }
}
