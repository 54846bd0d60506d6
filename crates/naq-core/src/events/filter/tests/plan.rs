//! What of a filter the server does.

use super::*;

#[test]
fn the_server_chooses_by_type_and_job_and_by_nothing_else() {
    let entity = EventSubjects::default();
    let plain = EventSubjects::new("prod.events", SubjectLayout::Type).unwrap();
    for (dictionary, expected, by_type) in [
        (json!({}), vec!["events.>"], vec!["prod.events.>"]),
        (
            json!({"type": "job_failed"}),
            vec!["events.job_failed", "events.job_failed.>"],
            vec!["prod.events.job_failed", "prod.events.job_failed.>"],
        ),
        (json!({"job_id": "*"}), vec!["events.*.=2A"], vec!["prod.events.>"]),
        (
            json!({"type": "x.y", "job_id": "a b", "queue": "q"}),
            vec!["events.x=2Ey.a=20b"],
            vec!["prod.events.x=2Ey", "prod.events.x=2Ey.>"],
        ),
        (json!({"worker_id": "w", "schedule_id": "s"}), vec!["events.>"], vec!["prod.events.>"]),
        (json!({"type": {"regex": "job"}}), vec!["events.>"], vec!["prod.events.>"]),
        (json!({"job_id": ""}), vec!["events.>"], vec!["prod.events.>"]),
        (json!({"type": "t".repeat(65)}), vec!["events.>"], vec!["prod.events.>"]),
    ] {
        let filter = filter(dictionary);
        assert_eq!(filter.subject_filters(&entity), expected);
        assert_eq!(filter.subject_filters(&plain), by_type);
    }
}

fn subjects(text: &str) -> Vec<String> {
    Filter::parse(text).unwrap().subject_filters(&EventSubjects::default())
}

#[test]
fn lists_and_alternatives_are_pushed_down() {
    let of_two = ["events.a", "events.a.>", "events.b", "events.b.>"];
    assert_eq!(subjects("type in (a, b)"), of_two);
    assert_eq!(subjects("type = a or type = b"), of_two);
    assert_eq!(subjects("(type = a or type = b) and queue = q"), of_two);
    assert_eq!(subjects("type in (a, b, c) and type in (b, d)"), ["events.b", "events.b.>"]);
    assert_eq!(subjects("type in (a, b) and job_id = j"), ["events.a.j", "events.b.j"]);
    assert_eq!(subjects("job_id in (i, j)"), ["events.*.i", "events.*.j"]);
    assert_eq!(
        subjects("type = a and job_id = j or type = b"),
        ["events.a.j", "events.b", "events.b.>"]
    );
    assert_eq!(subjects("type = a or type = a and job_id = j"), ["events.a", "events.a.>"]);
}

#[test]
fn what_can_t_be_pushed_down_asks_for_all() {
    for text in [
        "not type = a",
        "type != a",
        "type = a or queue = q",
        "type not in (a, b)",
        // Overlapping subjects, which the server refuses.
        "type = a or job_id = j",
        // More than eight subjects.
        "type in (a, b, c, d, e)",
        "job_id in (a, b, c, d, e, f, g, h, i)",
        "since 2h",
        "timestamp > 2h",
    ] {
        assert_eq!(subjects(text), ["events.>"], "{text}");
    }
    let nothing = subjects("type = a and type = b");
    assert_eq!(nothing, ["events.a", "events.a.>"]);
}

#[test]
fn a_plan_says_what_is_left() {
    let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let filter = |text| Filter::parse_at(text, now, &jiff::tz::TimeZone::UTC).unwrap();
    let plan = |text| filter(text).plan(&EventSubjects::default());
    let whole = plan("type in (a, b) and duration > 2s and since 2h and until 1h");
    assert_eq!(whole.check.to_string(), "duration > 2s");
    assert_eq!(whole.since, Some("2026-11-24T10:00:00Z".parse().unwrap()));
    assert_eq!(whole.until, Some("2026-11-24T11:00:00Z".parse().unwrap()));
    assert!(whole.is_by_subject);
    assert!(plan("type = a").check.is_empty());
    // Under a job's id may be stored what a worker of that id did.
    assert_eq!(plan("type = a and job_id = j").check.to_string(), "job_id = \"j\"");
    let scan = plan("since 2h or type = a");
    assert_eq!((scan.since, scan.is_by_subject), (None, false));
    assert_eq!(scan.check, filter("since 2h or type = a"));
}
