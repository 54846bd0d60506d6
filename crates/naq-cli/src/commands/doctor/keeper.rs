//! The log's keeper: is there one where something hangs on it, can it go on, and
//! are the ages those of types that there are.

use std::time::Duration;

use naq_core::ErrorKind;
use naq_core::clock::{Clock, SystemClock};
use naq_core::config::EventsConfig;
use naq_events::keeper::KeeperStatus;

use super::Findings;
use super::stream::Seen;
use crate::complain::Failure;
use crate::connect::Session;
use crate::output::human;

/// Examines who keeps the log, where anybody does or ages want it.
pub(super) async fn examine(
    session: &Session,
    seen: &Seen,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let config = &session.config().events;
    for slip in config.retention.doubtful() {
        findings.warn(
            "retention",
            format!("{slip} Events of that very name get the age"),
            "correct it in [events.retention], or leave it where it is a type of your own",
        );
    }
    if !matches!(seen, Seen::Whole(_)) || !config.digests {
        return Ok(());
    }
    let told = session.reading(async |events| Ok(events.keeper().await)).await?;
    match told {
        Ok(Some(status)) => standing(&status, findings),
        Ok(None) if has_ages(config) => findings.warn(
            "keeper",
            "there are ages in the configuration, and nobody keeps the log: what is too old stays",
            "run `naq keeper`, or a service with `keeper = \"auto\"` for over a minute; or \
             `naq retention apply` now and then",
        ),
        Ok(None) => {}
        // Who may not know has no need to, as long as nothing hangs on it.
        Err(error) if error.is(ErrorKind::PermissionDenied) && !has_ages(config) => {}
        Err(error) => {
            let (what, hint) = super::told(&error);
            findings.warn("keeper", what, hint);
        }
    }
    Ok(())
}

fn has_ages(config: &EventsConfig) -> bool {
    let of_digests = [config.digest_max_age, config.digest_hours_after, config.digest_days_after];
    !config.retention.is_empty() || of_digests.iter().any(Option::is_some)
}

fn standing(status: &KeeperStatus, findings: &mut Findings) {
    if status.has_died() {
        let found = format!("it gave no sign of life for {}", human::seconds(status.silent));
        let advice = "it has died, and no other one has taken over: run `naq keeper`";
        return findings.warn("keeper", found, advice);
    }
    if let Some(trouble) = &status.trouble {
        let advice = "as long as that is so, statistics may take longer, and what is too old stays";
        let found = format!("something is in its way: {trouble}");
        return findings.warn("keeper", found, advice);
    }
    let since = SystemClock::new().now().since(status.since).max(Duration::ZERO);
    findings.ok(
        "keeper",
        format!(
            "has kept the log for {}, {} behind",
            human::duration(since),
            human::counted(status.behind, "sequence")
        ),
    );
}
