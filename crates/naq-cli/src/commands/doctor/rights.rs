//! What these credentials may do, tried without storing or removing anything.

use futures::StreamExt;
use naq_core::connection::ConnectionProviderExt;
use naq_core::events::EventSubjects;
use naq_core::jetstream::{
    ConsumerConfig, Expected, JetStream, PublishMessage, PurgeOptions, ReadOptions, ReadUntil,
};
use naq_core::{ErrorKind, Result};

use super::Findings;
use super::stream::Seen;
use crate::complain::Failure;
use crate::connect::Session;

/// A type that no program logs: nothing lies on its subject.
const NOBODYS: &str = "naq_doctor_stores_nothing";

/// Tries what producers, readers and operators need.
pub(super) async fn examine(
    session: &Session,
    seen: &Seen,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let events = &session.config().events;
    let subjects = EventSubjects::new(events.subject_root.as_str(), events.subjects)?;
    let subject = subjects.build(NOBODYS, None);
    let jetstream = session.connections()?.default_jetstream().await?;
    let stream = events.stream_name.as_str();

    // Where there is no stream, to be told so is to be heard.
    let is_missing = matches!(seen, Seen::Missing);
    let heard = |may: Result<()>| match may {
        Err(error) if is_missing && error.is(ErrorKind::NotFound) => Ok(()),
        may => may,
    };
    let may = heard(may_publish(&*jetstream, stream, &subject).await);
    tell(findings, "may log", may, "publish on the events' subjects: programs that log need it");
    let may = match seen {
        Seen::Missing => heard(may_make_a_consumer(&*jetstream, stream).await),
        Seen::Whole(_) | Seen::Nothing | Seen::NoJetStream => may_read(&*jetstream, stream).await,
    };
    tell(findings, "may read", may, "make consumers: tail, stats, history and export need it");
    if matches!(seen, Seen::Whole(info) if info.config.deny_purge == Some(true)) {
        findings.ok("may clean up", "nobody may: the stream denies it");
    } else {
        let purge = PurgeOptions::default().with_subject(subject);
        let may = heard(jetstream.purge_stream(stream, purge).await.map(drop));
        tell(findings, "may clean up", may, "purge the stream: `naq cleanup` needs it");
    }
    Ok(())
}

/// A message that expects to be the last but every other one, so that no stream stores it.
async fn may_publish(jetstream: &dyn JetStream, stream: &str, subject: &str) -> Result<()> {
    let expected = Expected::default().with_stream(stream).with_last_sequence(i64::MAX as u64);
    let message = PublishMessage::new(subject, "{}").with_expected(expected);
    match jetstream.publish(message).await {
        Err(error) if error.is(ErrorKind::Conflict) => Ok(()),
        other => other.map(drop),
    }
}

/// Reads one message, if there is one.
pub(super) async fn may_read(jetstream: &dyn JetStream, stream: &str) -> Result<()> {
    let options = ReadOptions::default().with_until(ReadUntil::Head).with_limit(1);
    match jetstream.read(stream, options).next().await {
        Some(Err(error)) => Err(error),
        _ => Ok(()),
    }
}

/// Asks for a consumer of a stream that isn't there.
async fn may_make_a_consumer(jetstream: &dyn JetStream, stream: &str) -> Result<()> {
    jetstream.create_consumer(stream, ConsumerConfig::new(NOBODYS)).await.map(drop)
}

fn tell(findings: &mut Findings, check: &'static str, may: Result<()>, right: &str) {
    match may {
        Ok(()) => findings.ok(check, "yes"),
        Err(error) if error.is(ErrorKind::PermissionDenied) => {
            findings.warn(check, "no", format!("if it should, give the right to {right}"));
        }
        Err(error) => {
            let (what, hint) = super::told(&error);
            findings.fail(check, what, hint);
        }
    }
}
