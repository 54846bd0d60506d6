//! Which texts are times.

use std::ops::Range;

use crate::Timestamp;

/// Reads a text that is an RFC 3339 time and nothing else.
///
/// Looks at its shape first: a parser of dates takes much that is none of
/// RFC 3339, and a filter asks this of every string that it compares.
pub(in crate::events) fn rfc3339(text: &str) -> Option<Timestamp> {
    if has_shape(text.as_bytes()) && has_offset(text.as_bytes()) { text.parse().ok() } else { None }
}

/// The same, and a time without an offset as UTC: so the first version of
/// naq, which was written in Python, stamped its events.
pub(in crate::events) fn rfc3339_or_utc(text: &str) -> Option<Timestamp> {
    if !has_shape(text.as_bytes()) || has_offset(text.as_bytes()) {
        return rfc3339(text);
    }
    let time = jiff::tz::TimeZone::UTC.to_timestamp(text.parse().ok()?).ok()?;
    i64::try_from(time.as_nanosecond()).ok().map(Timestamp::from_nanos)
}

/// `2026-11-24T12:00:00` with anything behind it that a fraction or offset is made of.
fn has_shape(bytes: &[u8]) -> bool {
    let digits = |range: Range<usize>| {
        bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let at = |index: usize| bytes.get(index).copied().unwrap_or_default();
    digits(0..4)
        && at(4) == b'-'
        && digits(5..7)
        && at(7) == b'-'
        && digits(8..10)
        && matches!(at(10), b'T' | b't' | b' ')
        && digits(11..13)
        && at(13) == b':'
        && digits(14..16)
        && at(16) == b':'
        && digits(17..19)
        && bytes[19..].iter().all(|byte| {
            byte.is_ascii_digit() || matches!(byte, b'.' | b'Z' | b'z' | b'+' | b'-' | b':')
        })
}

fn has_offset(bytes: &[u8]) -> bool {
    match bytes {
        [.., b'Z' | b'z'] => true,
        [.., b'+' | b'-', _, _, b':', _, _] => bytes.len() >= "2026-11-24T12:00:00+01:00".len(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_rfc_3339_times_are_times() {
        for text in
            ["2026-11-24T12:00:00Z", "2026-11-24t12:00:00.123456789z", "2026-11-24 12:00:00+01:00"]
        {
            assert!(rfc3339(text).is_some(), "{text}");
        }
        for text in [
            "",
            "2026",
            "2026-11-24",
            "2026-11-24T12:00:00",
            "2026-11-24T12:00:00[UTC]",
            "2026-11-24T12:00:00Z x",
            "2026-13-24T12:00:00Z",
            "2026-11-24T12:00:00+01",
            "20261124T120000Z",
            "2400-01-01T00:00:00Z",
            "2026-11-24T12:00:00é",
        ] {
            assert!(rfc3339(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_utc() {
        let utc = rfc3339("2026-11-24T12:00:00.5Z");
        assert!(utc.is_some());
        assert_eq!(rfc3339_or_utc("2026-11-24T12:00:00.5"), utc);
        assert_eq!(rfc3339_or_utc("2026-11-24T13:00:00.5+01:00"), utc);
        for text in
            ["", "2026-11-24", "2026-11-24T12:00", "2026-11-24T12:00:00+", "9999-01-01T00:00:00"]
        {
            assert_eq!(rfc3339_or_utc(text), None, "{text}");
        }
    }
}
