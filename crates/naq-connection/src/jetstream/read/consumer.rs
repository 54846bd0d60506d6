//! The ephemeral consumer behind a read, and what is under way from it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use naq_core::Result;
use naq_core::jetstream::ReadStart;
use serde::Deserialize;
use tokio::time::Instant;

use super::OPERATION;
use super::plan::{INACTIVE_THRESHOLD, Plan};
use crate::jetstream::ack_subject::AckSubject;
use crate::jetstream::pull::{Pull, Wait};
use crate::jetstream::{api, unique_name, version};
use crate::nats::{Arrival, Inbox, Nature, Request, Wire};

/// Messages a pull; with 500 a replay runs at two thirds of the speed.
const BATCH: u64 = 5_000;
/// Bytes a pull; at least twice what one message can have.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;
/// How long a pull stands when nothing is there.
const EXPIRES: Duration = Duration::from_secs(30);
/// How often the server shows that it does.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long nothing may come while a pull stands: two heartbeats and some.
const SILENCE: Duration = Duration::from_millis(10_500);
/// How long a server may look through what doesn't match before it is asked anew.
const AT_WORK: Duration = Duration::from_secs(600);
/// How much earlier than the server it is taken for removed.
const MARGIN: Duration = Duration::from_secs(5);
/// How many pulls a consumer is given to be known of to all servers.
const UNHEARD: u64 = 4;
/// A reader that takes longer than this for a pull is slow.
const SLOW: Duration = Duration::from_secs(1);

/// A consumer of one read, deleted when dropped.
#[derive(Debug)]
pub(super) struct Ephemeral {
    wire: Arc<Wire>,
    stream: String,
    name: String,
    /// Which server of a cluster it is on, if that was told.
    server: Option<String>,
    pull_subject: String,
    inbox: Inbox,
    /// The next pull's number.
    pulls: u64,
    /// How many messages are asked for and haven't come.
    credit: u64,
    /// Whether deliveries used it up.
    exhausted: bool,
    /// The last delivery's number.
    pub(super) delivered: u64,
    /// How many matched and were still to come, by the last word of the server's.
    pending: u64,
    /// Whether pulls stand (the present was reached), or are answered at once.
    pub(super) live: bool,
    last_grant: Instant,
    last_arrival: Instant,
}

/// What came from a consumer.
#[derive(Debug)]
pub(super) enum Event {
    /// A message or a status.
    Message(Message),
    /// The connection broke.
    Lost,
    /// Nothing came for too long.
    Silence,
    /// The server refused something of this read.
    Denied(naq_core::Error),
}

impl Ephemeral {
    /// Makes a consumer that begins at `start`, by the deadline.
    ///
    /// # Errors
    /// As the API answers, with the stream in the context.
    pub(super) async fn create(
        wire: &Arc<Wire>,
        plan: &Plan,
        start: ReadStart,
        deadline: Instant,
    ) -> Result<Self> {
        let name = unique_name(wire);
        let inbox = Inbox::open(wire, OPERATION, wire.request_deadline()).await?;
        let now = Instant::now();
        let mut consumer = Self {
            wire: Arc::clone(wire),
            stream: plan.stream.clone(),
            pull_subject: format!("{}.CONSUMER.MSG.NEXT.{}.{name}", api::PREFIX, plan.stream),
            inbox,
            server: None,
            pulls: 0,
            credit: 0,
            exhausted: false,
            delivered: 0,
            pending: 0,
            live: false,
            last_grant: now,
            last_arrival: now,
            name,
        };
        let server = version(wire);
        let body = plan.create_body(&consumer.name, start, server);
        let subject = plan.create_subject(&consumer.name, server);
        // Creating it twice by the same name is creating it once.
        let nature = Nature::Question;
        let made: RawMade = api::call_until(wire, OPERATION, &subject, &body, nature, deadline)
            .await
            .map_err(|error| error.with("stream", &plan.stream))?;
        consumer.pending = made.num_pending;
        consumer.server = made.cluster.and_then(|cluster| cluster.leader);
        Ok(consumer)
    }

    /// Which server of a cluster it is on, if that was told.
    pub(super) fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// Whether more is to be asked for before waiting.
    pub(super) fn wants_pull(&self, is_filtered: bool) -> bool {
        // A slow reader that filters takes all that is under way first: then its
        // position is the consumer's, and a gap can be told from what didn't match.
        let low = match (is_filtered && self.is_slow(), self.live) {
            (true, _) => 0,
            (false, true) => BATCH / 2,
            (false, false) => BATCH,
        };
        self.credit <= low
    }

    /// Whether the consumer stood still for want of credit, and for how long nobody knows.
    pub(super) fn stood_still(&self) -> bool {
        self.exhausted && self.is_slow()
    }

    fn is_slow(&self) -> bool {
        self.pulls > 0 && self.last_grant.elapsed() > SLOW
    }

    /// Whether the server may have removed it, for so long nothing was asked for.
    pub(super) fn is_forgotten(&self) -> bool {
        let stands = if self.live { EXPIRES } else { Duration::ZERO };
        self.pulls > 0 && self.last_grant.elapsed() > stands + INACTIVE_THRESHOLD - MARGIN
    }

    /// Asks for more, at most `limit` messages.
    pub(super) async fn pull(&mut self, limit: Option<u64>) -> Result<()> {
        let batch = limit.map_or(BATCH, |limit| limit.saturating_sub(self.credit).min(BATCH));
        if batch == 0 {
            return Ok(());
        }
        let largest = self.wire.client.max_payload() as u64;
        let pull = Pull {
            batch,
            max_bytes: BATCH_BYTES.max(largest.saturating_mul(2)),
            no_wait: !self.live,
            wait: self.live.then_some(Wait { expires: EXPIRES, heartbeat: Some(HEARTBEAT) }),
        };
        self.pulls += 1;
        let reply = self.inbox.reply(self.pulls);
        let request = Request {
            subject: self.pull_subject.clone().into(),
            headers: None,
            payload: pull.body(),
        };
        self.wire.send(OPERATION, request, Some(reply), self.wire.request_deadline()).await?;
        self.credit += batch;
        self.exhausted = false;
        self.last_grant = Instant::now();
        self.last_arrival = self.last_grant;
        Ok(())
    }

    /// Waits for what comes next.
    pub(super) async fn event(&mut self) -> Event {
        let deadline = self.last_arrival.max(Instant::now() - SILENCE / 2) + SILENCE;
        loop {
            match tokio::time::timeout_at(deadline, self.inbox.arrival()).await {
                Ok(Arrival::Message(message)) => {
                    self.last_arrival = Instant::now();
                    return Event::Message(message);
                }
                Ok(Arrival::Lost) => return Event::Lost,
                Ok(Arrival::Denied(violation)) => {
                    if violation.subject == self.pull_subject || self.inbox.is_denied_by(&violation)
                    {
                        return Event::Denied(crate::nats::denied(OPERATION, &violation));
                    }
                }
                Err(_) => return Event::Silence,
            }
        }
    }

    /// The next message that is here already.
    pub(super) fn try_message(&mut self) -> Option<Message> {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match self.inbox.poll_message(&mut cx) {
            std::task::Poll::Ready(message) => message,
            std::task::Poll::Pending => None,
        }
    }

    /// Counts a delivery; `false` when one before it was lost on the way.
    pub(super) fn count(&mut self, facts: &AckSubject) -> bool {
        self.credit = self.credit.saturating_sub(1);
        self.exhausted = self.credit == 0;
        self.delivered += 1;
        self.pending = facts.pending;
        facts.consumer_sequence == self.delivered
    }

    /// How many that match were still to come, by the server's last word of it:
    /// with the last delivery, or when it was made.
    pub(super) fn pending(&self) -> u64 {
        self.pending
    }

    /// Whether nothing has come from it yet, and little was asked: in a cluster who
    /// made it may know of it before the server does that passes a pull on.
    pub(super) fn is_unheard(&self) -> bool {
        self.delivered == 0 && self.pulls < UNHEARD
    }

    /// Forgets the pulls that are out: they ended, whatever they were to bring.
    pub(super) fn ask_again(&mut self) {
        self.credit = 0;
    }

    /// A pull ended with so many messages missing.
    pub(super) fn ended(&mut self, missing: Option<u64>) {
        self.credit = self.credit.saturating_sub(missing.unwrap_or(BATCH));
    }

    /// Nothing is left: every pull that didn't wait ends.
    pub(super) fn emptied(&mut self) {
        if !self.live {
            self.live = true;
            self.credit = 0;
        }
    }

    /// Whether pulls still stand at the server, though nothing comes: then it is
    /// looking through much that doesn't match.
    ///
    /// That is believed for [`AT_WORK`], and no longer: a pull may have been lost on
    /// the way back.
    pub(super) async fn is_at_work(&mut self) -> bool {
        let at_work = self.last_arrival.elapsed() < AT_WORK
            && self.info().await.is_ok_and(|info| info.num_waiting > 0);
        if at_work {
            self.last_grant = Instant::now();
        }
        at_work
    }

    /// Whether it isn't, or wasn't all the time, of this connection.
    pub(super) fn is_of_another_connection(&self, generation: u64) -> bool {
        self.inbox.is_lost() || self.inbox.generation() != generation
    }

    /// Whether nothing that matches is left, nor on its way here.
    pub(super) async fn has_given_all(&self) -> bool {
        self.info().await.is_ok_and(|info| {
            info.num_pending == 0 && info.delivered.consumer_seq == self.delivered
        })
    }

    async fn info(&self) -> Result<RawInfo> {
        let subject = format!("CONSUMER.INFO.{}.{}", self.stream, self.name);
        api::call(&self.wire, OPERATION, &subject, &(), Nature::Question).await
    }
}

/// What the server tells of a consumer that it just made.
#[derive(Debug, Deserialize)]
struct RawMade {
    #[serde(default)]
    num_pending: u64,
    #[serde(default)]
    cluster: Option<RawCluster>,
}

/// Where it is: a consumer without replicas is led by the server that has it.
#[derive(Debug, Deserialize)]
struct RawCluster {
    #[serde(default)]
    leader: Option<String>,
}

/// What the server tells of a consumer, as far as a read wants to know.
#[derive(Debug, Deserialize)]
struct RawInfo {
    #[serde(default)]
    num_waiting: u64,
    #[serde(default)]
    num_pending: u64,
    delivered: RawDelivered,
}

#[derive(Debug, Deserialize)]
struct RawDelivered {
    consumer_seq: u64,
}

impl Drop for Ephemeral {
    fn drop(&mut self) {
        // A consumer that can't be deleted now goes after its inactive threshold.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let client = self.wire.client.clone();
        let subject = format!("{}.CONSUMER.DELETE.{}.{}", api::PREFIX, self.stream, self.name);
        let within = self.wire.limits.request_timeout;
        if self.inbox.is_lost() {
            return;
        }
        runtime.spawn(async move {
            let deleting = client.publish(subject, bytes::Bytes::new());
            let _ = tokio::time::timeout(within, deleting).await;
        });
    }
}
