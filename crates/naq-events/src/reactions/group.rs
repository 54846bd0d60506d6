//! A group's consumer: what it is made of, and what must not change about it.

use naq_core::events::{EventSubjects, Filter};
use naq_core::jetstream::{ConsumerConfig, ConsumerInfo, JetStream, ReadStart, filters_are_nested};
use naq_core::{Error, ErrorKind, Result};

use super::REACT;
use super::options::{GroupOrder, GroupSetup, GroupStart, ReactOptions};

/// Marks a consumer as a group's, and holds the group's name.
const GROUP: &str = "naq.group";
/// The filter of the group, in its JSON form.
const FILTER: &str = "naq.filter";
/// The order of the group.
const ORDER: &str = "naq.order";

/// How many events of a group may be in its members' hands, the order apart.
const MAX_IN_HAND: u64 = 20_000;

/// What to do where an operator's consumer has another order.
const OPERATORS_ORDER: &str =
    "events come in order from a consumer with max_ack_pending 1 alone, and from such a one always";

/// What a group's consumer shall be.
pub(super) fn consumer(
    group: &str,
    filter: &Filter,
    subjects: &EventSubjects,
    options: &ReactOptions,
) -> ConsumerConfig {
    let in_hand = match options.order {
        GroupOrder::None => MAX_IN_HAND,
        GroupOrder::Entity => 1,
    };
    let mut config = ConsumerConfig::new(group)
        .with_start(read_start(options.start))
        .with_ack_wait(options.ack_wait)
        .with_max_ack_pending(in_hand);
    if !filter.is_empty() {
        config.subjects = filter.subject_filters(subjects);
    }
    config.description = Some("a group of naq's reactions".to_owned());
    config.metadata = [
        (GROUP, group.to_owned()),
        (FILTER, filter.to_json().to_string()),
        (ORDER, options.order.as_str().to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    config
}

/// Where a consumer starts.
pub(super) const fn read_start(start: GroupStart) -> ReadStart {
    match start {
        GroupStart::New => ReadStart::New,
        GroupStart::Beginning => ReadStart::Beginning,
        GroupStart::Time(time) => ReadStart::Time(time),
        GroupStart::Sequence(sequence) => ReadStart::Sequence(sequence),
    }
}

/// Whether a consumer is a group's.
pub(super) fn is_group(config: &ConsumerConfig) -> bool {
    config.metadata.contains_key(GROUP)
}

/// The filter that a group's consumer was made with, in its JSON form.
pub(super) fn filter_of(config: &ConsumerConfig) -> Option<&str> {
    config.metadata.get(FILTER).map(String::as_str)
}

/// The order that a group's consumer keeps: the one that it is able to keep.
pub(super) const fn order_of(config: &ConsumerConfig) -> GroupOrder {
    if config.max_ack_pending == 1 { GroupOrder::Entity } else { GroupOrder::None }
}

/// Makes the group's consumer, or checks that the one which is there fits.
///
/// # Errors
/// `Conflict` that names the filter or order in which the group differs;
/// `NotFound` for a consumer that should have been made by an operator.
pub(super) async fn ensure(
    jetstream: &dyn JetStream,
    stream: &str,
    mut wanted: ConsumerConfig,
    options: &ReactOptions,
) -> Result<ConsumerInfo> {
    let told = |error: Error| error.in_operation(REACT).with("group", wanted.name.clone());
    match jetstream.consumer_info(stream, &wanted.name).await {
        Ok(info) => return check(info, &wanted, options).map_err(told),
        Err(error) if !error.is(ErrorKind::NotFound) => return Err(told(error)),
        Err(error) if options.setup == GroupSetup::Assume => {
            return Err(told(error).with_hint(
                "an operator has to make a durable pull consumer of the group's name first",
            ));
        }
        Err(_) => {}
    }
    if filters_are_nested(&wanted.subjects) && !jetstream.capabilities().nested_filters {
        // All events, then: what the filter doesn't let through each member passes over.
        wanted.subjects.clear();
    }
    match jetstream.create_consumer(stream, wanted.clone()).await {
        Ok(info) => Ok(info),
        // Another member made it at the same time, from another moment on.
        Err(error) if error.is(ErrorKind::AlreadyExists) => {
            let info = jetstream.consumer_info(stream, &wanted.name).await.map_err(told)?;
            check(info, &wanted, options).map_err(told)
        }
        Err(error) => Err(may_not_make(error, &wanted.name)),
    }
}

/// An error of making what a group needs: where the right is missing, it says what to do.
pub(super) fn may_not_make(error: Error, group: &str) -> Error {
    let error = error.in_operation(REACT).with("group", group);
    if error.is(ErrorKind::PermissionDenied) {
        return error.with_hint(
            "let an operator make the group's consumer and streams, and use GroupSetup::Assume",
        );
    }
    error
}

/// A group means the same events to each of its members, or it means nothing;
/// and its consumer has to be able to keep what is promised.
fn check(
    info: ConsumerInfo,
    wanted: &ConsumerConfig,
    options: &ReactOptions,
) -> Result<ConsumerInfo> {
    able(&info)?;
    let differs = |field: &'static str, had: &str, wanted: &str| {
        Error::new(ErrorKind::Conflict, REACT, "differs from the group's")
            .with("field", field)
            .with("had", had)
            .with("wanted", wanted)
            .with_hint("give it the same, choose another group, or remove the group first")
    };
    // A consumer that an operator made says nothing of a filter: what it lets
    // through is checked by each member.
    if let (Some(had), Some(new)) = (filter_of(&info.config), filter_of(wanted))
        && had != new
    {
        return Err(differs("filter", had, new));
    }
    let order = order_of(&info.config);
    if order != options.order {
        let error = differs("order", order.as_str(), options.order.as_str());
        let is_own = is_group(&info.config);
        return Err(if is_own { error } else { error.with_hint(OPERATORS_ORDER) });
    }
    Ok(info)
}

/// Whether a consumer, which somebody else may have made, loses no event.
fn able(info: &ConsumerInfo) -> Result<()> {
    let max_deliver = info.config.max_deliver.to_string();
    let deliver = if info.is_push { "push" } else { "pull" };
    let is_fit = [
        ("deliver", deliver, "pull"),
        ("ack_policy", &*info.ack_policy, "explicit"),
        // Naq counts the tries, and has to be handed an event once more to bury it.
        ("max_deliver", &*max_deliver, "0"),
    ];
    match is_fit.into_iter().find(|(_, had, wanted)| had != wanted) {
        None => Ok(()),
        Some((field, had, wanted)) => Err(Error::new(
            ErrorKind::Conflict,
            REACT,
            "with this consumer events would be lost",
        )
        .with("field", field)
        .with("had", had)
        .with("wanted", wanted)
        .with_hint(
            "have it made anew as a durable pull consumer with explicit acknowledgements and \
             without max_deliver",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_reads_only_the_subjects_that_its_filter_asks_for() {
        let subjects = EventSubjects::default();
        let options = ReactOptions::default();
        let all = consumer("g", &Filter::new(), &subjects, &options);
        assert!(all.subjects.is_empty() && is_group(&all));
        let job = consumer("g", &Filter::new().job("j"), &subjects, &options);
        assert_eq!(job.subjects, ["events.*.j"]);
        assert_eq!(filter_of(&job), Some(r#"{"job_id":"j"}"#));
    }

    #[test]
    fn a_consumer_that_would_lose_events_is_refused_by_field() {
        let made = |change: fn(&mut ConsumerInfo)| {
            let mut info =
                ConsumerInfo::new("S", ConsumerConfig::new("g"), naq_core::Timestamp::default());
            change(&mut info);
            able(&info).map_err(|error| error.get("field").map(ToOwned::to_owned))
        };
        assert_eq!(made(|_| {}), Ok(()));
        assert_eq!(made(|info| info.is_push = true), Err(Some("deliver".into())));
        assert_eq!(made(|info| info.ack_policy = "all".into()), Err(Some("ack_policy".into())));
        assert_eq!(made(|info| info.config.max_deliver = 9), Err(Some("max_deliver".into())));
    }

    #[test]
    fn order_is_one_event_in_hand() {
        let options = ReactOptions::default().with_order(GroupOrder::Entity);
        let config = consumer("g", &Filter::new(), &EventSubjects::default(), &options);
        assert_eq!((config.max_ack_pending, order_of(&config)), (1, GroupOrder::Entity));
    }
}
