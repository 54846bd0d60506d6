//! A range of time, for questions that go by the events' own timestamps, and
//! how much a question may read.

use std::time::Duration;

use clap::Args;
use naq_core::Timestamp;
use naq_core::clock::{Clock, SystemClock};
use naq_core::config::Size;
use naq_core::events::ScanLimits;

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

/// `--scan-limit`, `--scan-limit-bytes` and `--scan-limit-time`.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Scan {
    /// Give up after reading so many messages [default: 10,000,000]
    #[arg(long, value_name = "MESSAGES", value_parser = crate::cli::positive::<u64>)]
    scan_limit: Option<u64>,
    /// Give up after reading so much [default: 16GiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    scan_limit_bytes: Option<Size>,
    /// Give up after reading for so long [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = time)]
    scan_limit_time: Option<Duration>,
}

impl Range {
    /// The two ends; `None` for the log's.
    pub(crate) fn resolve(
        &self,
        zone: &Zone,
    ) -> naq_core::Result<(Option<Timestamp>, Option<Timestamp>)> {
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
        let mut limits = ScanLimits::default();
        limits.max_messages = self.scan_limit;
        limits.max_bytes = self.scan_limit_bytes.map(Size::bytes);
        limits.max_time = self.scan_limit_time;
        limits
    }
}

fn size(text: &str) -> Result<Size, String> {
    let size: Size = text.parse().map_err(|error: naq_core::Error| error.message().to_owned())?;
    if size.bytes() > 0 { Ok(size) } else { Err("must be at least 1 byte".to_owned()) }
}

fn time(text: &str) -> Result<Duration, String> {
    let time = crate::cli::duration(text)?;
    if time.is_zero() { Err("must be above zero".to_owned()) } else { Ok(time) }
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
