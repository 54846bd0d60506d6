//! The text form: `type in (job_failed, job_completed) and duration > 2s and since 2h`.
//!
//! - `lexer`: the text as tokens
//! - `quantity`: numbers with units
//! - `grammar`: tokens as an expression
//! - `value`: what a field may be compared with
//! - `time`: points in time
//! - `display`: an expression as text
//! - `fault`: what is wrong with a text, and where

mod display;
mod fault;
mod grammar;
mod lexer;
mod quantity;
mod time;
mod value;

pub use fault::FilterSyntaxError;

use jiff::tz::TimeZone;

use self::fault::Fault;
use self::grammar::Read;
use self::time::Moment;
use super::Filter;
use crate::clock::{Clock, SystemClock};
use crate::{Error, Result, Timestamp};

/// How long a text may be, in bytes.
const MAX_BYTES: usize = 8 * 1024;

/// The words that are none of a value or a field unless they stand in quotes.
const KEYWORDS: [&str; 12] = [
    "and", "or", "not", "in", "between", "contains", "exists", "since", "until", "true", "false",
    "null",
];

fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

impl Filter {
    /// How long a text of the language may be, in bytes.
    pub const MAX_TEXT_BYTES: usize = MAX_BYTES;

    /// Reads the language, with its times relative to the present, and in UTC
    /// where they name no offset.
    ///
    /// ```
    /// use naq_core::events::{Event, Filter};
    ///
    /// let slow = Filter::parse("error ~ /time(d )?out/i and duration between 2s and 1m")?;
    /// assert!(slow.matches(&Event::job_failed("job-1", "Timed out", 3.5)));
    ///
    /// let error = Filter::parse("duration > soon").unwrap_err();
    /// assert_eq!(error.get("offset"), Some("11"));
    /// # Ok::<(), naq_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` that says what was expected and where; its source is
    /// the [`FilterSyntaxError`].
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_at(text, SystemClock::new().now(), &TimeZone::UTC)
    }

    /// Reads the language as it is meant at a time, by whoever has their clocks in a zone.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_at(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Self> {
        let read = || {
            if text.len() > MAX_BYTES {
                return Err(Fault::rule(MAX_BYTES, "a filter has at most 8 KiB"));
            }
            let tokens = lexer::tokens(text)?;
            grammar::read(text, &tokens, Moment { now, zone })
        };
        let told = |fault| Error::from(FilterSyntaxError::new(text, fault));
        let Read { expr, untils } = read().map_err(told)?;
        let filter = Self::from_expr(expr)?;
        let Err(fault) = filter.check_stored() else { return Ok(filter) };
        let (_, until) = filter.stored_range();
        match untils.iter().find(|(time, _)| Some(*time) == until) {
            Some((_, at)) => Err(told(Fault::rule(*at, "`until` must not lie before `since`"))),
            None => Err(fault),
        }
    }
}

impl std::str::FromStr for Filter {
    type Err = Error;

    /// As [`Filter::parse`].
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for Filter {
    type Error = Error;

    /// As [`Filter::parse`].
    fn try_from(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}
