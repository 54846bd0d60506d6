//! A range of time, for questions that go by the events' own timestamps.

use clap::Args;
use naq_core::clock::{Clock, SystemClock};
use naq_core::events::ScanLimits;
use naq_core::{Result, Timestamp};

use crate::output::{View, Zone};
use crate::when::PointInTime;

/// `--since` and `--until`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Range")]
pub(crate) struct Range {
    /// From this time on: so long ago (`1h`, `7d`) or a time (`2026-11-24T12:00:00Z`, `14:30`)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<PointInTime>,
    /// Up to this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: Option<PointInTime>,
}

/// `--scan-limit`.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Range")]
pub(crate) struct Scan {
    /// Give up after reading so many messages [default: 10,000,000]
    #[arg(long, value_name = "MESSAGES", value_parser = crate::cli::positive::<u64>)]
    pub(crate) scan_limit: Option<u64>,
}

impl Range {
    /// The two ends; `None` for the log's.
    pub(crate) fn resolve(&self, zone: &Zone) -> Result<(Option<Timestamp>, Option<Timestamp>)> {
        let now = SystemClock::new().now();
        let end = |point: &Option<PointInTime>| match point {
            Some(point) => point.resolve(now, zone.zone()),
            None => Ok(None),
        };
        Ok((end(&self.since)?, end(&self.until)?))
    }
}

impl Scan {
    /// The limits of the question.
    pub(crate) fn limits(self) -> ScanLimits {
        match self.scan_limit {
            Some(messages) => ScanLimits::default().with_max_messages(messages),
            None => ScanLimits::default(),
        }
    }
}

/// The range in words.
pub(crate) fn in_words(view: &View, start: Option<Timestamp>, end: Option<Timestamp>) -> String {
    let at = |time| view.zone.full(time);
    match (start, end) {
        (None, None) => "in the whole log".to_owned(),
        (Some(start), None) => format!("since {}", at(start)),
        (None, Some(end)) => format!("up to {}", at(end)),
        (Some(start), Some(end)) => format!("from {} to {}", at(start), at(end)),
    }
}
