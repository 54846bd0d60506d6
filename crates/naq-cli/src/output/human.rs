//! Numbers as people read them.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its word: `1 event`, `2 events`.
pub(crate) fn counted(number: u64, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {word}{plural}", count(number))
}

/// A size in binary units: `1.5 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}

/// A share from 0 to 1 in percent: `98.3 %`; only what is whole is shown as
/// whole, and only nothing as nothing: `< 0.1 %`.
pub(crate) fn percent(share: f64) -> String {
    match (share * 1_000.0).round() {
        1_000.0 if share < 1.0 => "> 99.9 %".to_owned(),
        0.0 if share > 0.0 => "< 0.1 %".to_owned(),
        tenths if tenths % 10.0 == 0.0 => format!("{:.0} %", tenths / 10.0),
        tenths => format!("{:.1} %", tenths / 10.0),
    }
}

/// Seconds with three digits and the unit that fits: `350 µs`, `12.3 ms`,
/// `1.25 s`, `2 m 05 s`, `3 h 04 m`, `5 d 06 h`.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() || s < 0.0 => "?".to_owned(),
        0.0 => "0 s".to_owned(),
        s if s < 0.000_999_5 => format!("{} µs", digits(s * 1e6)),
        s if s < 0.999_5 => format!("{} ms", digits(s * 1e3)),
        s if s < 59.95 => format!("{} s", digits(s)),
        s => long(Duration::try_from_secs_f64(s.round()).unwrap_or(Duration::MAX)),
    }
}

/// A duration as [`seconds`] has it.
pub(crate) fn duration(duration: Duration) -> String {
    seconds(duration.as_secs_f64())
}

fn digits(number: f64) -> String {
    match number {
        n if n < 9.995 => format!("{n:.2}"),
        n if n < 99.95 => format!("{n:.1}"),
        n => format!("{n:.0}"),
    }
}

fn long(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..3_600 => format!("{minutes} m {:02} s", seconds % 60),
        3_600..86_400 => format!("{hours} h {:02} m", minutes % 60),
        _ => format!("{} d {:02} h", count(days), hours % 24),
    }
}

/// A rate with its unit: `12,345 jobs/s`, `3.4 jobs/s`; nothing without time.
pub(crate) fn rate(number: u64, over: Duration, word: &str) -> Option<String> {
    let per_second = number as f64 / over.as_secs_f64();
    if !per_second.is_finite() {
        return None;
    }
    // A rate of the past is a count, and a cast that saturates is right for it.
    let whole = per_second.round() as u64;
    Some(if per_second < 99.95 {
        format!("{} {word}s/s", digits(per_second))
    } else {
        format!("{} {word}s/s", count(whole))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_commas() {
        let shown = [0, 7, 999, 1_000, 65_536, 1_234_567].map(count);
        assert_eq!(shown, ["0", "7", "999", "1,000", "65,536", "1,234,567"]);
        assert_eq!(
            (counted(1, "event"), counted(0, "event")),
            ("1 event".into(), "0 events".into())
        );
    }

    #[test]
    fn durations_have_three_digits_and_the_unit_that_fits() {
        for (given, shown) in [
            (0.0, "0 s"),
            (0.000_001, "1.00 µs"),
            (0.000_35, "350 µs"),
            (0.000_999_9, "1.00 ms"),
            (0.012_34, "12.3 ms"),
            (1.25, "1.25 s"),
            (59.94, "59.9 s"),
            (59.96, "1 m 00 s"),
            (125.0, "2 m 05 s"),
            (11_045.0, "3 h 04 m"),
            (453_600.0, "5 d 06 h"),
            (f64::NAN, "?"),
        ] {
            assert_eq!(seconds(given), shown, "{given}");
        }
    }

    #[test]
    fn only_the_whole_is_a_hundred_percent() {
        let shown = [1.0, 0.999_99, 0.983, 0.5, 0.000_01, 0.0].map(percent);
        assert_eq!(shown, ["100 %", "> 99.9 %", "98.3 %", "50 %", "< 0.1 %", "0 %"]);
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(size(1_572_864), "1.5 MiB");
    }

    #[test]
    fn a_rate_needs_time() {
        assert_eq!(rate(5, Duration::ZERO, "job"), None);
        assert_eq!(rate(5, Duration::from_secs(2), "job").as_deref(), Some("2.50 jobs/s"));
        assert_eq!(rate(50_000, Duration::from_secs(4), "job").as_deref(), Some("12,500 jobs/s"));
    }
}
