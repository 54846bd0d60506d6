//! The text form: what it says, and what is wrong where.

use jiff::tz::TimeZone;

use super::*;
use crate::events::FilterSyntaxError;

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn parse(text: &str) -> crate::Result<Filter> {
    Filter::parse_at(text, now(), &TimeZone::fixed(jiff::tz::offset(2)))
}

/// The filter as it is displayed.
fn shown(text: &str) -> String {
    parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

#[test]
fn a_question_at_three_in_the_morning() {
    let text = r#"type in (job_failed, job_completed) and duration > 2s and error ~ /timeout/i
                  and not queue = "bulk" and since 2h"#;
    let filter = parse(text).unwrap();
    assert_eq!(
        filter.to_string(),
        "type in (\"job_failed\", \"job_completed\") and duration > 2s and error ~ /timeout/i \
         and not queue = \"bulk\" and since 2026-11-24T10:00:00.000000Z"
    );
    let event = Event::job_failed("j", "Timeout after 3 s", 3.0);
    assert!(filter.holds(&event, Some(now())));
    assert!(!filter.holds(&event.clone().with_queue("bulk"), Some(now())));
    assert!(!filter.holds(&event, Some("2026-11-24T09:59:59Z".parse().unwrap())));
}

#[test]
fn not_binds_more_than_and_and_and_more_than_or() {
    let same = |a: &str, b: &str| assert_eq!(parse(a).unwrap(), parse(b).unwrap(), "{a}");
    same("a = 1 or b = 2 and not c = 3 or d = 4", "(a = 1) or ((b = 2) and (not (c = 3))) or d=4");
    same("a = 1 and (b = 2 and c = 3)", "a = 1 and b = 2 and c = 3");
    same("A = 1 AND NOT B == 2 Or exists(c)", "A = 1 && ! B = 2 || c exists");
    assert_eq!(
        shown("(a = 1 or b = 2) and not (c = 3 and d = 4)"),
        "(a = 1 or b = 2) and not (c = 3 and d = 4)"
    );
    assert_eq!(shown("(a = 1 or b = 2)"), "a = 1 or b = 2");
    assert_eq!(shown("not not a = 1"), "not not a = 1");
    assert_eq!(shown("true"), "true");
    assert!(parse("true or a = 1").unwrap().is_empty());
    assert_eq!(shown("not true"), "false");
}

#[test]
fn units_are_of_seconds_and_bytes() {
    for (written, read) in [
        ("duration = 500ms", "duration = 0.5s"),
        ("duration = 0.1ms", "duration = 0.0001s"),
        ("duration = 3us", "duration = 3e-6s"),
        ("duration = 1h30m", "duration = 5400s"),
        ("duration >= -1m30s", "duration >= -90s"),
        ("duration >= -0h30m", "duration >= -1800s"),
        ("duration = 2", "duration = 2s"),
        ("queue_wait < 1w2d", "queue_wait < 777600s"),
        ("size > 64KiB", "size > 65536"),
        ("size > 64kb", "size > 64000"),
        ("size > 1.5MiB", "size > 1572864"),
        ("size > 18446744073709551615", "size > 18446744073709551615"),
        ("limit = 90s", "limit = 90"),
    ] {
        assert_eq!(shown(written), read, "{written}");
    }
}

#[test]
fn times_are_absolute_or_so_long_ago() {
    for (written, read) in [
        ("since 90m", "since 2026-11-24T10:30:00.000000Z"),
        ("since 1h30m ago", "since 2026-11-24T10:30:00.000000Z"),
        ("until now", "until 2026-11-24T12:00:00.000000Z"),
        ("since 2026-11-24T10:00:00.5Z", "since 2026-11-24T10:00:00.500000Z"),
        ("since '2026-11-24 10:00:00+01:00'", "since 2026-11-24T09:00:00.000000Z"),
        ("since 2026-11-24", "since 2026-11-23T22:00:00.000000Z"),
        ("since 2026-11-24T10:00", "since 2026-11-24T08:00:00.000000Z"),
        ("since 09:30", "since 2026-11-24T07:30:00.000000Z"),
        ("timestamp > 2h", "timestamp > 2026-11-24T10:00:00.000000Z"),
        ("timestamp > 2h ago", "timestamp > 2026-11-24T10:00:00.000000Z"),
        ("timestamp < now", "timestamp < 2026-11-24T12:00:00.000000Z"),
        ("timestamp = 2026-11-24T10:00:00Z", "timestamp = 2026-11-24T10:00:00Z"),
        (
            "timestamp in 3h..2h",
            "timestamp >= 2026-11-24T09:00:00.000000Z and timestamp <= 2026-11-24T10:00:00.000000Z",
        ),
        ("due = 2026-11-24T10:00:00+01:00", "due = 2026-11-24T10:00:00+01:00"),
        ("due = 2026-11-24", "due = \"2026-11-24\""),
    ] {
        assert_eq!(shown(written), read, "{written}");
    }
}

#[test]
fn ranges_have_both_ends() {
    let dictionary = Filter::from_json(&json!({"duration": {"min": 2, "max": 5}})).unwrap();
    for text in ["duration between 2s and 5s", "duration in 2s..5s", "duration in 2 .. 5"] {
        assert_eq!(parse(text).unwrap(), dictionary, "{text}");
    }
    let not_in = parse("attempt not in 2..5").unwrap();
    assert!(not_in.matches(&Event::new("x").with_attempt(6)));
    assert!(!not_in.matches(&Event::new("x").with_attempt(5)));
    assert!(!not_in.matches(&Event::new("x")), "a missing field never matches");
    assert!(parse("not attempt in 2..5").unwrap().matches(&Event::new("x")));
}

#[test]
fn fields_are_named_by_their_path_in_quotes_if_need_be() {
    let event = Event::new("x")
        .with_field("order", json!({"customer id": {"a": 1}, "b.c": true}))
        .with_field("in", "word")
        .with_field("é-1:x", 2);
    for text in [
        "'order.customer id.a' = 1",
        "order.'customer id'.a = 1",
        "order.\"customer id\".\"a\" = 1",
        "order.b.c = true",
        "\"in\" = word",
        "é-1:x = 2",
    ] {
        assert!(parse(text).unwrap().matches(&event), "{text}");
        assert!(parse(&shown(text)).unwrap().matches(&event), "{text}");
    }
}

#[test]
fn a_text_field_takes_what_stands_there() {
    let event = Event::new("x").with_job_id("7").with_field("n", 7);
    for text in ["job_id = 7", "job_id = '7'", "n = 7", "job_id in (7, 8s, 2026-11-24)"] {
        assert!(parse(text).unwrap().matches(&event), "{text}");
    }
    assert!(!parse("n = '7'").unwrap().matches(&event));
    assert_eq!(shown(r"queue = 'a\'\u00e9\ud83d\ude00\n'"), r#"queue = "a'é😀\n""#);
}

#[test]
fn patterns_have_slashes_or_quotes_and_flags() {
    for (written, read) in [
        ("error ~ /time(d )?out/i", "error ~ /time(d )?out/i"),
        ("error ~ 'time'", "error ~ /time/"),
        ("error !~ refused", "error !~ /refused/"),
        (r"path ~ /^\/a\/\d/sU", r"path ~ /^\/a\/\d/sU"),
        (r"path ~ '\\/'", r#"path ~ "\\/""#),
        ("error ~ //", "error ~ //"),
    ] {
        assert_eq!(shown(written), read, "{written}");
    }
    assert_eq!(
        parse("error ~ /a|b/i").unwrap(),
        Filter::from_json(&json!({"error": {"regex": "(?i)a|b"}})).unwrap()
    );
}

#[test]
fn what_is_wrong_is_told_at_its_place() {
    for (text, offset, what) in [
        ("", 0, "expected a field, `not`, `exists`, `since`, `until` or `(`, found the end"),
        ("type", 4, "expected = != < <= > >= ~ !~ or `in`"),
        ("type =", 6, "expected a value, found the end"),
        ("type = a b", 9, "expected `and`, `or` or the end, found `b`"),
        ("(type = a", 9, "expected `and`, `or` or `)`, found the end"),
        ("type = a)", 8, "expected `and`, `or` or the end, found `)`"),
        ("type = a and", 12, "expected a field"),
        ("type == and", 8, "expected a text, found `and`"),
        ("type in a", 9, "expected `..` and the upper end"),
        ("type in", 7, "expected a list such as (a, b), or a range such as 2..5,"),
        ("type in ()", 9, "expected a text, found `)`"),
        ("type in (a b)", 11, "expected `,` or `)`, found `b`"),
        ("é = 1 & b", 7, "expected a field, a value, a comparison or a parenthesis, found `&`"),
        ("duration > \"2s\"", 11, "expected a duration such as 2s or 500ms"),
        ("duration > 2KiB", 11, "expected a duration"),
        ("duration > 2x", 12, "expected a unit (ns, us, ms, s, m, h, d, w;"),
        ("duration between 5s and 2s", 24, "must not end before it begins"),
        ("a between 5 and x", 16, "both ends of a range must be of one type"),
        ("duration between 5s or 2s", 20, "expected `and` and the upper end, found `or`"),
        ("duration contains 2", 9, "`contains` looks into texts and lists"),
        ("success = maybe", 10, "expected true or false, found `maybe`"),
        ("success > true", 10, "no order"),
        ("attempt = one", 10, "expected a number, found `one`"),
        ("attempt = 1e999", 10, "1.7e308"),
        ("timestamp > soon", 12, "expected a time: how long ago"),
        ("timestamp > 2026-13-01", 12, "expected a time"),
        ("since", 5, "expected a time"),
        ("since -2h", 6, "expected a time"),
        ("since type = a", 6, "expected a time"),
        ("since 1h and until 2h", 19, "`until` must not lie before `since`"),
        ("until 1m and since 1h and until 2h ago", 32, "`until` must not lie before `since`"),
        ("error ~ /a", 8, "lacks a /"),
        ("error ~ /a/q", 11, "expected one of the flags"),
        (
            "error ~ /(/",
            8,
            "the regular expression is wrong: must be a regular expression: unclosed group",
        ),
        ("error ~ 5", 8, "expected a regular expression"),
        ("queue = \"a", 8, "lacks a \""),
        ("queue = \"\\q\"", 9, "an escape is"),
        ("upper(queue) = x", 0, "there is no function `upper`"),
        ("x = null", 4, "expected a text, a number, a time, true or false, found `null`"),
        ("'' = 1", 0, "1 to 256 bytes"),
        ("a not = 1", 6, "expected = !="),
        ("a..b = 1", 1, "expected = !="),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(error.get("offset"), Some(&*offset.to_string()), "{text}: {error}");
        assert!(error.message().contains(what), "{text}: {error}");
    }
}

#[test]
fn sizes_are_bounded() {
    let told = |text: &str| parse(text).unwrap_err().message().to_owned();
    assert!(told(&format!("a = '{}'", "x".repeat(8 * 1024))).contains("8 KiB"));
    assert!(told(&format!("a = '{}'", "x".repeat(4097))).contains("4096 bytes"));
    assert!(told(&format!("{}a = 1{}", "(".repeat(65), ")".repeat(65))).contains("64 deep"));
    assert!(parse(&format!("{}a = 1{}", "(".repeat(64), ")".repeat(64))).is_ok());
    assert!(told(&format!("{}a = 1", "not ".repeat(65))).contains("64 deep"));
    assert!(told(&vec!["a = 1"; 65].join(" or ")).contains("64 conditions"));
    assert!(told(&format!("a in ({})", vec!["1"; 1025].join(","))).contains("1024 values"));
    assert!(told(&format!("a ~ /{}/", "x".repeat(1025))).contains("1024 bytes"));
    assert!(told("a ~ /(\\w{100}){100}/").contains("compile"));
}

#[test]
fn an_excerpt_points_at_the_place() {
    let excerpt = |text: &str| {
        let error = parse(text).unwrap_err();
        error.source_as::<FilterSyntaxError>().unwrap().excerpt()
    };
    assert_eq!(excerpt("type = a\n and\tqueue ="), " and queue =\n            ^");
    assert_eq!(excerpt("é = 'ü' und"), "é = 'ü' und\n        ^");
    let long = excerpt(&format!("a = '{}' und {}", "x".repeat(100), "y".repeat(100)));
    let (line, caret) = long.split_once('\n').unwrap();
    assert_eq!(line.chars().nth(caret.len() - 1), Some('u'));
    assert!(line.starts_with('…') && line.ends_with('…'));
}
