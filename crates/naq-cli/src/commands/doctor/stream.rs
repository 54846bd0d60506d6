//! The event stream: is it as naq wants it, and how much room has it.

use std::time::Duration;

use naq_core::ErrorKind;
use naq_core::clock::{Clock, SystemClock};
use naq_core::connection::ConnectionProviderExt;
use naq_core::events::EventSubjects;
use naq_core::jetstream::{Discard, StreamInfo};
use naq_core::streams::{Mending, differences, holds_for};
use naq_events::EventService;

use super::{Findings, guarantees, way};
use crate::complain::Failure;
use crate::connect::Session;
use crate::output::human;

/// Less than this is little to look back on.
const SHORT: Duration = Duration::from_secs(86_400);
/// A stream that refuses when it is full, and is this full, soon refuses.
const NEARLY_FULL: f64 = 0.9;

/// What there is to see of the stream.
pub(super) enum Seen {
    /// All of it.
    Whole(Box<StreamInfo>),
    /// Nothing, though it may be there: no right to ask, or no answer.
    Nothing,
    /// There is no stream.
    Missing,
    /// There is no JetStream, and nothing else can be asked.
    NoJetStream,
}

/// Examines the stream.
pub(super) async fn examine(session: &Session, findings: &mut Findings) -> Result<Seen, Failure> {
    let events = &session.config().events;
    let name = events.stream_name.as_str();
    let info = match session.streams()?.get_stream_info(name).await {
        Ok(info) => info,
        Err(error) if error.is(ErrorKind::NotFound) => {
            findings.warn(
                "stream",
                format!("there is no stream {name:?}: nothing was logged yet"),
                "`naq streams ensure` makes it, and so does the first program that logs",
            );
            return Ok(Seen::Missing);
        }
        Err(error) => {
            let (what, hint) = super::told(&error);
            match error.kind() {
                ErrorKind::PermissionDenied => findings.warn(
                    "stream",
                    format!("can't be asked about: {what}"),
                    "a producer does without: NAQ_EVENTS_STREAM=assume",
                ),
                ErrorKind::Unsupported => {
                    findings.fail("stream", what, hint);
                    return Ok(Seen::NoJetStream);
                }
                _ => findings.fail("stream", what, hint),
            }
            return Ok(Seen::Nothing);
        }
    };
    let state = &info.state;
    findings.ok(
        "stream",
        format!(
            "{name}: {} in {} on {}",
            human::counted(state.messages, "message"),
            human::size(state.bytes),
            human::counted(state.num_subjects, "subject")
        ),
    );
    wanted(&info, session, findings)?;
    room(&info, findings);
    let jetstream = session.connections()?.default_jetstream().await?;
    way::examine(&*jetstream, &info, events, findings).await;
    guarantees::examine(&info, events, findings);
    Ok(Seen::Whole(Box::new(info)))
}

/// Holds the stream's configuration against what naq's configuration wants.
fn wanted(info: &StreamInfo, session: &Session, findings: &mut Findings) -> Result<(), Failure> {
    let mut wanted = EventService::stream_config(&session.config().events)?;
    layout(info, wanted.metadata.remove(EventSubjects::LAYOUT_KEY), findings);
    let differences = differences(info, &wanted, SystemClock::new().now());
    if differences.is_empty() {
        findings.ok("config", "the stream is as the configuration wants it");
    }
    for difference in differences {
        let change = &difference.change;
        let found = format!("{} is {}, and {} is wanted", change.field, change.had, change.wanted);
        match difference.mending {
            Mending::Note | Mending::Safe => {
                let advice = "`naq streams ensure` changes it, or change the configuration";
                findings.warn("config", found, advice);
            }
            Mending::Loses => findings.warn(
                "config",
                found,
                "changing it would lose messages (`naq streams ensure --allow-loss`): \
                 rather change the configuration",
            ),
            Mending::Impossible => findings.fail(
                "config",
                found,
                "no server can change that: change the configuration, or take another stream \
                 (NAQ_EVENTS_STREAM_NAME)",
            ),
        }
    }
    Ok(())
}

/// Whether the events were stored with the subjects that the configuration has:
/// asked with others, a log looks empty.
fn layout(info: &StreamInfo, wanted: Option<String>, findings: &mut Findings) {
    let has = info.config.metadata.get(EventSubjects::LAYOUT_KEY);
    match (has, wanted) {
        (Some(has), Some(wanted)) if *has != wanted => findings.fail(
            "layout",
            format!("events are stored with subjects = {has:?}, and {wanted:?} is configured"),
            format!("NAQ_EVENTS_SUBJECTS={has}, or another stream: NAQ_EVENTS_STREAM_NAME"),
        ),
        (Some(has), _) => findings.ok("layout", format!("events are stored by {has}")),
        (None, _) => findings.warn(
            "layout",
            "the stream doesn't say which subjects its events have",
            "`naq streams ensure` notes what the configuration has",
        ),
    }
}

fn room(info: &StreamInfo, findings: &mut Findings) {
    let (config, state) = (&info.config, &info.state);
    let limits = [(config.max_messages, state.messages), (config.max_bytes, state.bytes)];
    let fullest = limits
        .into_iter()
        .filter_map(|(limit, used)| Some(used as f64 / limit.filter(|limit| *limit > 0)? as f64))
        .fold(None, |most: Option<f64>, share| Some(most.map_or(share, |most| most.max(share))));
    let Some(fullest) = fullest.map(|share| share.min(1.0)) else {
        findings.warn(
            "room",
            "the stream has no limit of messages or bytes",
            "`naq streams ensure --max-bytes SIZE`, below the disk's room: a full disk stops the \
             whole server",
        );
        return;
    };
    let share = human::percent(fullest).replace("< ", "less than ");
    if config.discard == Some(Discard::New) {
        let found = format!("{share} full, and then new events are refused");
        if fullest >= NEARLY_FULL {
            findings.warn("room", found, "make room (`naq cleanup`), or raise the limits");
        } else {
            findings.ok("room", found);
        }
        return;
    }
    match holds_for(info) {
        Some(span) if span < SHORT && fullest > 0.5 => findings.warn(
            "room",
            format!("{share} full; holds {} at the present rate", human::duration(span)),
            "`naq streams ensure --max-msgs N --max-bytes SIZE` looks back further",
        ),
        Some(span) => {
            let span = human::duration(span);
            findings.ok("room", format!("{share} full; holds {span} at the present rate"));
        }
        None => findings.ok("room", format!("{share} full; too young to tell how long it holds")),
    }
}
