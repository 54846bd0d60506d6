//! Points in time: `2h` (ago), `now`, a time with an offset, or one on the wall.

use std::time::Duration;

use jiff::civil;
use jiff::tz::TimeZone;

use super::lexer::{Kind, Token};
use super::quantity::{Measure, Quantity};
use crate::Timestamp;
use crate::events::wire::time_text::rfc3339;

/// What a text is read relative to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'t> {
    pub(super) now: Timestamp,
    /// Of times that name no offset.
    pub(super) zone: &'t TimeZone,
}

pub(super) const TIME: &str =
    "a time: how long ago (2h), 2026-11-24T12:00:00Z, 2026-11-24, 14:30 or now";

impl Moment<'_> {
    /// What a token means as a time, to the microsecond.
    pub(super) fn read(self, token: &Token<'_>) -> Option<Timestamp> {
        let time = match &token.kind {
            Kind::Word if token.is_word("now") => Some(self.now),
            Kind::Quantity(Quantity { value, measure: Measure::Duration }) => {
                Some(self.now.saturating_sub(Duration::try_from_secs_f64(value.as_f64()?).ok()?))
            }
            Kind::Text(text) => self.text(text),
            Kind::Time => self.text(token.source),
            _ => None,
        };
        time.map(Timestamp::truncated_to_micros)
    }

    fn text(self, text: &str) -> Option<Timestamp> {
        if let Some(time) = rfc3339(text) {
            return Some(time);
        }
        // Only a time of the day, before a date: `14:30` is no date.
        let time = match text.parse::<civil::Time>() {
            Ok(time) if text.contains(':') && !text.contains('-') => {
                let now = jiff::Timestamp::from_nanosecond(i128::from(self.now.as_nanos())).ok()?;
                now.to_zoned_datetime(self.zone.clone()).date().to_datetime(time)
            }
            _ => on_the_wall(text)?,
        };
        let time = self.zone.to_timestamp(time).ok()?;
        i64::try_from(time.as_nanosecond()).ok().map(Timestamp::from_nanos)
    }
}

/// A date, or a date and a time, without an offset or a zone's name.
fn on_the_wall(text: &str) -> Option<civil::DateTime> {
    let date = text.get(..10)?;
    let is_plain = date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
        && text[10..].bytes().all(|byte| byte.is_ascii_digit() || b"T :.".contains(&byte));
    if is_plain { text.parse().ok() } else { None }
}
