//! What to read of the log, from where to where.

use crate::events::{Filter, Position, ScanLimits};
use crate::{Error, Result, Timestamp};

/// Where a reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ReadStart {
    /// At the first event that the stream still holds.
    #[default]
    Beginning,
    /// Behind the last event at the time of asking: only what comes.
    New,
    /// At this sequence, from 1.
    Sequence(u64),
    /// At the first event that was stored at or after this time, by the server's clock.
    Time(Timestamp),
    /// Exactly behind this place; `Conflict` where the stream was made anew since.
    After(Position),
}

/// Where a reading ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ReadUntil {
    /// At the stream's end as it stood when the reading began.
    #[default]
    Head,
    /// Behind this sequence; if it is still to come, it is waited for.
    Sequence(u64),
    /// Before the first event that was stored at or after this time; if the
    /// time is still to come, it is waited for.
    Time(Timestamp),
    /// Never: what comes is read as it comes.
    Never,
}

/// A reading of the log: the whole of it up to its present end, unless told otherwise.
///
/// ```
/// use naq_core::events::{Filter, ReadEvents, ReadUntil};
///
/// let failed_mail = ReadEvents::default()
///     .with_filter(Filter::new().event_type("job_failed").field("queue").equals("emails"))
///     .with_limit(20)
///     .with_newest_first();
/// failed_mail.validate()?;
/// assert!(failed_mail.with_until(ReadUntil::Never).validate().is_err());
/// # Ok::<(), naq_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct ReadEvents {
    /// Where it begins.
    pub start: ReadStart,
    /// Where it ends.
    pub until: ReadUntil,
    /// Which events are told.
    pub filter: Filter,
    /// After how many events it ends; at least 1.
    pub limit: Option<u64>,
    /// Whether it goes from the end back; only for a reading that ends, and
    /// then only over what is there when it begins.
    pub newest_first: bool,
    /// How much it may read, and for how long, to find the next event of what is there.
    pub scan: ScanLimits,
}

impl ReadEvents {
    /// Everything from the beginning, and then what comes, without end.
    #[must_use]
    pub fn live() -> Self {
        Self::default().with_until(ReadUntil::Never)
    }

    /// Sets where it begins.
    #[must_use]
    pub fn with_start(mut self, start: ReadStart) -> Self {
        self.start = start;
        self
    }

    /// Sets where it ends.
    #[must_use]
    pub fn with_until(mut self, until: ReadUntil) -> Self {
        self.until = until;
        self
    }

    /// Goes on exactly behind a place.
    #[must_use]
    pub fn after(self, position: Position) -> Self {
        self.with_start(ReadStart::After(position))
    }

    /// Sets which events are told.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Sets after how many events it ends; at least 1.
    #[must_use]
    pub fn with_limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Goes from the end back.
    #[must_use]
    pub fn with_newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }

    /// Sets how much it may read, and for how long, to find the next event of
    /// what is there.
    #[must_use]
    pub fn with_scan(mut self, scan: ScanLimits) -> Self {
        self.scan = scan;
        self
    }

    /// Checks what contradicts itself.
    ///
    /// # Errors
    /// `InvalidArgument` that names the option: a limit or sequence of 0,
    /// newest first without an end or of what is to come, an end before the
    /// start, a filter that is wrong, or a scan limit of 0.
    pub fn validate(&self) -> Result<()> {
        const READ: &str = "read_events";
        let refused = |option, rule| Err(Error::invalid(READ, option, rule));
        if self.limit == Some(0) {
            return refused("limit", "must be at least 1");
        }
        if self.start == ReadStart::Sequence(0) {
            return refused("start", "must be a sequence from 1");
        }
        if self.newest_first && self.until == ReadUntil::Never {
            return refused("newest_first", "needs a reading that ends")
                .map_err(|error| error.with_hint("read until the head"));
        }
        if self.newest_first && self.start == ReadStart::New {
            return refused("newest_first", "cannot begin with what is to come");
        }
        let backwards = match (self.start, self.until) {
            (ReadStart::Sequence(start), ReadUntil::Sequence(end)) => end < start,
            (ReadStart::Time(start), ReadUntil::Time(end)) => end < start,
            _ => false,
        };
        if backwards {
            return refused("until", "must not lie before the start");
        }
        self.filter.validate().map_err(|error| error.in_operation(READ))?;
        self.scan.validate(READ)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(read: &ReadEvents) -> String {
        read.validate().unwrap_err().get("field").unwrap_or_default().to_owned()
    }

    #[test]
    fn contradictions_are_refused_by_the_option_s_name() {
        let read = ReadEvents::default;
        assert_eq!(refused(&read().with_limit(0)), "limit");
        assert_eq!(refused(&read().with_start(ReadStart::Sequence(0))), "start");
        assert_eq!(refused(&ReadEvents::live().with_newest_first()), "newest_first");
        assert_eq!(refused(&read().with_start(ReadStart::New).with_newest_first()), "newest_first");
        let backwards =
            read().with_start(ReadStart::Sequence(9)).with_until(ReadUntil::Sequence(8));
        assert_eq!(refused(&backwards), "until");
        let nothing = ScanLimits::default().with_max_bytes(0);
        assert_eq!(refused(&read().with_scan(nothing)), "max_bytes");
    }

    #[test]
    fn the_default_reads_the_log_as_it_stands() {
        let read = ReadEvents::default();
        assert_eq!((read.start, read.until), (ReadStart::Beginning, ReadUntil::Head));
        assert!(read.validate().is_ok());
    }
}
