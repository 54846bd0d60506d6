//! What holds of every filter.

use proptest::prelude::*;

use super::tree::{event, instant, odd_test, tree};
use super::*;
use crate::jetstream::subject_matches;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    #[test]
    fn a_filter_agrees_with_the_naive_evaluation(
        tree in tree(),
        event in event(),
        stored_at in instant(),
    ) {
        if let Ok(filter) = Filter::parse(&tree.text()) {
            let naive = tree.matches(&serde_json::to_value(&event).unwrap(), stored_at);
            prop_assert_eq!(filter.holds(&event, Some(stored_at)), naive, "{}", filter);
        }
    }

    #[test]
    fn the_three_forms_make_the_same_filter(tree in tree()) {
        let parsed = Filter::parse(&tree.text());
        let built = tree.built();
        prop_assert_eq!(parsed.is_ok(), built.validate().is_ok(), "{:?}", built.validate());
        if let Ok(parsed) = parsed {
            prop_assert_eq!(&Filter::from_json(&tree.dictionary()).unwrap(), &parsed);
            prop_assert_eq!(built, parsed);
        }
    }

    /// Of any type: what one form refuses, the others do too.
    #[test]
    fn the_three_forms_refuse_the_same(tree in odd_test()) {
        let parsed = Filter::parse(&tree.text());
        let read = Filter::from_json(&tree.dictionary());
        prop_assert_eq!(parsed.is_ok(), read.is_ok(), "{:?} {:?}", parsed, read);
        prop_assert_eq!(parsed.is_ok(), tree.built().validate().is_ok());
    }

    #[test]
    fn what_is_displayed_parses_back_to_the_same(tree in tree()) {
        if let Ok(filter) = Filter::parse(&tree.text()) {
            let text = filter.to_string();
            prop_assert_eq!(Filter::parse(&text).unwrap(), filter, "{}", text);
        }
    }

    #[test]
    fn a_filter_is_read_back_from_its_json(tree in tree()) {
        if let Ok(filter) = Filter::parse(&tree.text()) {
            let json = filter.to_json();
            prop_assert_eq!(Filter::from_json(&json).unwrap(), filter, "{}", json);
        }
    }

    /// The server leaves out nothing that passes, and all that it lets
    /// through and passes the rest passes the whole.
    #[test]
    fn a_plan_loses_nothing_and_its_rest_is_enough(
        tree in tree(),
        event in event(),
        stored_at in instant(),
    ) {
        if let Ok(filter) = Filter::parse(&tree.text()) {
            for layout in [SubjectLayout::Entity, SubjectLayout::Type] {
                let subjects = EventSubjects::new("events", layout).unwrap();
                let entity = event.entity().map(|(_, id)| id);
                let subject = subjects.build(event.event_type.as_str(), entity);
                let plan = filter.plan(&subjects);
                let is_sent = plan.subjects.iter().any(|f| subject_matches(f, &subject))
                    && plan.since.is_none_or(|since| stored_at >= since)
                    && plan.until.is_none_or(|until| stored_at < until);
                let passes = is_sent && plan.check.holds(&event, Some(stored_at));
                prop_assert_eq!(passes, filter.holds(&event, Some(stored_at)), "{:?}", plan);
                prop_assert!(plan.subjects.len() <= Filter::MAX_SUBJECTS);
                prop_assert_eq!(plan.subjects, filter.subject_filters(&subjects));
            }
        }
    }

    /// An index leaves out nothing that passes.
    #[test]
    fn what_passes_meets_what_is_asked_of_an_index(
        tree in tree(),
        event in event(),
        stored_at in instant(),
    ) {
        if let Ok(filter) = Filter::parse(&tree.text()) {
            let fields: Vec<_> =
                filter.fields().into_iter().map(|name| IndexField::new(name).unwrap()).collect();
            let mut key = Vec::new();
            let keys: Vec<_> =
                fields.iter().map(|field| (field.key(&event, &mut key), key.clone())).collect();
            let met = filter.lookup(&fields).is_none_or(|lookup| {
                lookup.may_pass(&|place, test| match &keys[place] {
                    (IndexKey::Absent, _) => false,
                    (IndexKey::Kept, key) => test(key),
                    (IndexKey::Unkept, _) => true,
                })
            });
            prop_assert!(met || !filter.holds(&event, Some(stored_at)), "{}", filter);
        }
    }

    /// Nor does who looks at the events' own time alone.
    #[test]
    fn what_passes_happened_within_the_range(
        tree in tree(),
        ends in proptest::option::of((instant(), instant())),
        event in event(),
        stored_at in instant(),
    ) {
        let text = match ends {
            Some((start, end)) => {
                format!("({}) and timestamp > {start} and timestamp <= {end}", tree.text())
            }
            None => tree.text(),
        };
        if let Ok(filter) = Filter::parse(&text)
            && filter.holds(&event, Some(stored_at))
        {
            let (least, most) = filter.happened_range();
            prop_assert!(least.is_none_or(|least| event.timestamp >= Some(least)), "{}", filter);
            let is_early = |most| event.timestamp.is_some_and(|at| at <= most);
            prop_assert!(most.is_none_or(is_early), "{}", filter);
        }
    }

    #[test]
    fn no_text_is_too_odd_for_the_parser(text in "\\PC{0,60}|[a-z0-9_ .,()=<>!~'\"/&|+:-]{0,60}") {
        odd(&text)?;
    }

    #[test]
    fn no_row_of_tokens_is_too_odd_for_the_parser(
        tokens in proptest::collection::vec(proptest::sample::select(&TOKENS[..]), 0..24),
        with in prop_oneof![Just(""), Just(" "), Just("\n")],
    ) {
        odd(&tokens.join(with))?;
    }
}

const TOKENS: [&str; 42] = [
    "and",
    "or",
    "not",
    "in",
    "between",
    "contains",
    "exists",
    "since",
    "until",
    "true",
    "null",
    "(",
    ")",
    ",",
    "..",
    ".",
    "=",
    "!=",
    "<",
    ">=",
    "~",
    "!~",
    "!",
    "&&",
    "type",
    "duration",
    "timestamp",
    "success",
    "a.b",
    "'é'",
    "\"\\u00e9\"",
    "\"\\ud83d",
    "/a/i",
    "/(/",
    "2s",
    "1h30m",
    "64KiB",
    "2x",
    "1e999",
    "2026-11-24",
    "14:30",
    "now",
];

/// Either it is refused at a place that lies in it, or it is displayed so that it parses back.
fn odd(text: &str) -> Result<(), TestCaseError> {
    match Filter::parse(text) {
        Ok(filter) => prop_assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter),
        Err(error) => {
            prop_assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            if let Some(syntax) = error.source_as::<crate::events::FilterSyntaxError>() {
                prop_assert!(text.is_char_boundary(syntax.offset()), "{}", error);
                prop_assert!(syntax.excerpt().ends_with('^'));
                prop_assert!(!syntax.what().is_empty());
            }
        }
    }
    Ok(())
}
