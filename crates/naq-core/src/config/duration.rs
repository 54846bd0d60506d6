//! Durations as text: `"5s"`, `"2h 30m"`, `"7d"`.

use std::time::Duration;

use jiff::SpanRelativeTo;

use crate::{Error, Result};

/// Reads a duration: `5s`, `1.5h`, `2h30m`, `7d`, ISO 8601 (`PT5S`), or a
/// plain number of seconds. A day has 24 hours, a week seven days; months and
/// years have no fixed length and are refused, as are negative durations.
///
/// ```
/// use std::time::Duration;
/// use naq_core::config::parse_duration;
///
/// assert_eq!(parse_duration("2h30m")?, Duration::from_secs(9_000));
/// assert_eq!(parse_duration("0.25")?, Duration::from_millis(250));
/// # Ok::<(), naq_core::Error>(())
/// ```
///
/// # Errors
/// `InvalidArgument` with the field `duration`.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let refused = |rule: &'static str| {
        Error::invalid("parse_duration", "duration", rule)
            .with("value", text.escape_debug().to_string())
    };
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds)
            .map_err(|error| refused(RULE).with_source(error));
    }
    let span: jiff::Span =
        text.parse().map_err(|error: jiff::Error| refused(RULE).with_source(error))?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(refused("must not hold months or years, which have no fixed length"));
    }
    let signed = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|error| refused(RULE).with_source(error))?;
    Duration::try_from(signed).map_err(|_| refused("must not be negative"))
}

const RULE: &str =
    "must be a duration such as \"5s\", \"2h 30m\" or \"7d\", or a number of seconds";

/// Writes a duration so that [`parse_duration`] reads the same, up to a
/// thousand years: `2h 30m`.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(naq_core::config::format_duration(Duration::from_millis(1_500)), "1s 500ms");
/// ```
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
        (u64::from(duration.subsec_millis()), "ms"),
        (u64::from(duration.subsec_micros() % 1_000), "us"),
        (u64::from(duration.subsec_nanos() % 1_000), "ns"),
    ];
    let words: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if words.is_empty() { "0s".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back_the_same(
            seconds in 0..86_400 * 365_000_u64,
            nanos in prop_oneof![Just(0), 0..1_000_000_000_u32],
        ) {
            let duration = Duration::new(seconds, nanos);
            let text = format_duration(duration);
            prop_assert_eq!(parse_duration(&text).unwrap(), duration, "{}", text);
        }
    }

    #[test]
    fn what_is_no_fixed_length_of_time_is_refused() {
        for text in ["", "5 parsecs", "-5s", "-1", "NaN", "inf", "1mo", "1y"] {
            let error = parse_duration(text).unwrap_err();
            assert_eq!(error.get("field"), Some("duration"), "{text}");
        }
    }
}
