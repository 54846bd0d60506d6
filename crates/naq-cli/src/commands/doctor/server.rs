//! The server: is it reachable, what can it do, how far is it, what does its clock say.

use std::time::{Duration, Instant};

use naq_core::clock::{Clock, SystemClock};
use naq_core::connection::{Connection, ConnectionProviderExt};
use naq_core::jetstream::{
    Capabilities, ConsumerConfig, JetStream, ReadStart, ServerVersion, Storage, StreamConfig,
};
use naq_core::{ErrorKind, Timestamp};

use super::Findings;
use super::stream::Seen;
use crate::complain::Failure;
use crate::connect::Session;
use crate::output::human;

/// How many questions the latency is measured with.
const PINGS: usize = 9;
/// From here on a server is far away for the questions that need many answers.
const FAR: Duration = Duration::from_millis(50);
/// Older servers have known holes through which a user publishes or subscribes though that
/// is denied to him.
const ENFORCES: ServerVersion = ServerVersion::new(2, 12, 7);
/// Clocks that differ more make `--since` and ages say something else than is meant.
const APART: Duration = Duration::from_secs(1);

/// Examines the server.
pub(super) async fn examine(session: &Session, findings: &mut Findings) -> Result<(), Failure> {
    let connection = session.connections()?.default_connection().await?;
    let jetstream = connection.jetstream();
    let info = jetstream.server_info();
    let cluster =
        info.cluster.as_ref().map_or_else(String::new, |name| format!(", cluster {name}"));
    server(info.version, &format!("({}{cluster})", info.name), findings);
    capabilities(jetstream.capabilities(), findings);
    latency(&*connection, session.config().connection.request_timeout, findings).await;
    let payload = format!("messages of up to {}", human::size(info.max_payload));
    findings.ok("payload", payload);
    Ok(())
}

/// The server, and whether its permissions hold.
fn server(version: ServerVersion, what: &str, findings: &mut Findings) {
    let found = format!("nats-server {version} {what}");
    if version >= ENFORCES {
        return findings.ok("server", found);
    }
    let advice = format!("nats-server {ENFORCES} and later keep to what they deny");
    findings.warn("server", format!("{found}: its permissions can be got round"), advice);
}

fn capabilities(can: Capabilities, findings: &mut Findings) {
    let all = [
        ("TTL per message", can.message_ttl),
        ("batched gets", can.batched_direct_get),
        ("transactions", can.atomic_publish),
        ("fast ingest", can.fast_ingest),
    ];
    let names = |wanted: bool| -> Vec<&str> {
        all.iter().filter(|(_, has)| *has == wanted).map(|(name, _)| *name).collect()
    };
    let (has, lacks) = (names(true).join(", "), names(false).join(", "));
    if lacks.is_empty() {
        findings.ok("can", has);
    } else if has.is_empty() {
        findings.warn("can", format!("lacks {lacks}"), "a newer server has them: 2.14 all");
    } else {
        let advice = "a newer server has them: 2.14 all";
        findings.warn("can", format!("{has}; lacks {lacks}"), advice);
    }
}

async fn latency(connection: &dyn Connection, within: Duration, findings: &mut Findings) {
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        match connection.round_trip(within).await {
            Ok(time) => times.push(time),
            Err(error) => {
                let (what, hint) = super::told(&error);
                return findings.fail("latency", what, hint);
            }
        }
    }
    times.sort_unstable();
    let (median, worst) = (times[PINGS / 2], times[PINGS - 1]);
    let found = format!("{}, at worst {}", human::duration(median), human::duration(worst));
    if median < FAR {
        findings.ok("latency", found);
    } else {
        findings.warn("latency", found, "run naq nearer to the server, or allow for it: --timeout");
    }
}

/// How far the server's clock is from this machine's, by a consumer, or where
/// there is no stream by a stream, that is made for it and deleted at once.
pub(super) async fn clock(
    session: &Session,
    seen: &Seen,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let jetstream = session.connections()?.default_jetstream().await?;
    let stream = session.config().events.stream_name.as_str();
    let clock = SystemClock::new();
    let name = format!("naq-doctor-{}", clock.now().as_nanos());
    let before = clock.now();
    let made = match seen {
        Seen::Missing => of_a_new_stream(&*jetstream, &name).await,
        Seen::Whole(_) | Seen::Nothing | Seen::NoJetStream => {
            of_a_new_consumer(&*jetstream, stream, &name).await
        }
    };
    let difference = made.map(|(there, took)| {
        let uncertain = took / 2;
        (distance(before.saturating_add(uncertain), there), uncertain)
    });
    match difference {
        Ok((apart, uncertain)) if apart <= APART => {
            let found = match apart <= uncertain {
                true => format!("within {} of this machine's", human::duration(uncertain)),
                false => format!("{} from this machine's", human::duration(apart)),
            };
            findings.ok("clock", found);
        }
        Ok((apart, _)) => findings.warn(
            "clock",
            format!("{} from this machine's", human::duration(apart)),
            "set both by NTP: `--since` and ages go by the clocks",
        ),
        Err(error) if error.is(ErrorKind::PermissionDenied) => findings.warn(
            "clock",
            "can't be asked: no right to make anything",
            "compare `date` here and there",
        ),
        Err(error) => {
            let (what, hint) = super::told(&error);
            findings.warn("clock", what, hint);
        }
    }
    Ok(())
}

/// When a consumer was made by the server's clock, and how long that took.
async fn of_a_new_consumer(
    jetstream: &dyn JetStream,
    stream: &str,
    name: &str,
) -> naq_core::Result<(Timestamp, Duration)> {
    let mut config = ConsumerConfig::new(name).with_start(ReadStart::New);
    config.inactive_threshold = Duration::from_secs(5);
    let begun = Instant::now();
    let info = jetstream.create_consumer(stream, config).await?;
    let took = begun.elapsed();
    // Without the right to delete it the server does it after five seconds.
    if let Err(error) = jetstream.delete_consumer(stream, name).await {
        tracing::debug!(%error, "the consumer for the clock goes by itself");
    }
    Ok((info.created, took))
}

/// When a stream was made by the server's clock, and how long that took. None is
/// made where it couldn't be deleted again.
async fn of_a_new_stream(
    jetstream: &dyn JetStream,
    name: &str,
) -> naq_core::Result<(Timestamp, Duration)> {
    match jetstream.delete_stream(name).await {
        Err(error) if !error.is(ErrorKind::NotFound) => return Err(error),
        _ => {}
    }
    let config = StreamConfig::new(name, [format!("_naq.{name}")]).with_storage(Storage::Memory);
    let begun = Instant::now();
    let info = jetstream.create_stream(config).await?;
    let took = begun.elapsed();
    jetstream.delete_stream(name).await?;
    Ok((info.created, took))
}

fn distance(a: Timestamp, b: Timestamp) -> Duration {
    a.since(b).max(b.since(a))
}
