//! The state machine of a read.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::Message;
use naq_core::jetstream::{Delivery, StoredMessage};
use naq_core::{Error, ErrorKind, Result, Timestamp};
use tokio::time::Instant;

use super::OPERATION;
use super::consumer::{Ephemeral, Event};
use super::opening::{PATIENCE, RETRY_MAX, RETRY_MIN};
use super::plan::Plan;
use super::progress::{Admission, Progress};
use super::replicas::Lead;
use super::steps::Steps;
use crate::jetstream::ack_subject::AckSubject;
use crate::jetstream::pull::{Status, refused};
use crate::jetstream::{NatsJetStream, headers};

const NOT_ASKED: &str = "no pull could be sent";
/// How long ago a message must have been stored for a consumer to know of it.
const SETTLED: Duration = Duration::from_secs(2);
/// After how long a consumer is asked again that nobody answers for yet.
const HEARD: Duration = Duration::from_millis(10);
/// The first wait where the leader is sought; it doubles.
const SEEK_MIN: Duration = Duration::from_millis(1);
/// How many messages are looked at before the stream's first sequence is asked
/// for anew, where they leave holes.
const LOOKAHEAD: usize = 512;

/// A read under way.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) jetstream: NatsJetStream,
    pub(super) plan: Plan,
    state: State,
    /// Known from the first opening on.
    pub(super) progress: Option<Progress>,
    pub(super) created: Option<Timestamp>,
    /// The connection over which all was well last; none before the first opening.
    pub(super) generation: Option<u64>,
    /// What is to be handed out.
    pub(super) ready: VecDeque<Delivery>,
    /// What has come and isn't looked at yet.
    pub(super) arrived: VecDeque<Message>,
    /// The stream's first sequence, asked for after the last of `arrived` came.
    first: Option<u64>,
    /// The last sequence that was there at this moment, if nothing came since.
    pub(super) floor: Option<(u64, Instant)>,
    /// What was done about a server that isn't believed, if it isn't.
    doubt: Option<Doubt>,
    /// Who told last how the stream stood, where that has several replicas.
    pub(super) lead: Option<Lead>,
    /// Whether the credentials don't let its leader be asked.
    pub(super) may_not_ask: bool,
}

/// A server that says that nothing is left, where it or the leader has something.
#[derive(Debug)]
struct Doubt {
    /// How long was waited in all; not how long it took, for a server that
    /// looks through much needs its time.
    waited: Duration,
    /// How long to wait before the next try.
    wait: Duration,
}

/// How a stream stood when a read was opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opened {
    pub(super) created: Timestamp,
    /// Its last sequence.
    pub(super) head: u64,
    /// Behind which sequence the read ends, there at the latest.
    pub(super) end: u64,
    /// The sequence before the first that is read, as far as that is known.
    pub(super) position: u64,
    /// The connection over which it was opened.
    pub(super) generation: Option<u64>,
}

/// Where a read stands, and what a failure there leads to.
#[derive(Debug)]
pub(super) enum State {
    /// The stream is looked at and a consumer made. Failures that pass are
    /// tried again for a while; others end the read.
    Opening(Why),
    /// Messages are taken from the consumer. Whatever breaks leads back to
    /// `Opening`; what the server refuses for good ends the read.
    Reading(Box<Ephemeral>),
    /// All has been said.
    Ended,
}

/// Why a consumer is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// There was none.
    First,
    /// There was none, and the read that this one is a part of is under way.
    Part,
    /// It broke: to be told.
    Broken,
    /// The connection is said to be lost: to be told if it is another one then.
    ///
    /// The client's word of it may come late, when the consumer is one of the
    /// next connection already; then nothing broke.
    Lost,
    /// Another one is needed, and nothing broke.
    Turn,
}

impl Reader {
    pub(super) fn new(jetstream: NatsJetStream, plan: Plan) -> Self {
        Self {
            jetstream,
            plan,
            state: State::Opening(Why::First),
            progress: None,
            created: None,
            generation: None,
            ready: VecDeque::new(),
            arrived: VecDeque::new(),
            first: None,
            floor: None,
            doubt: None,
            lead: None,
            may_not_ask: false,
        }
    }

    /// A reader that takes over from others, which were well over the connection
    /// `generation`: it opens with the patience of a read that is under way, and
    /// tells a break since then.
    pub(super) fn in_turn(jetstream: NatsJetStream, plan: Plan, generation: Option<u64>) -> Self {
        Self { state: State::Opening(Why::Turn), generation, ..Self::new(jetstream, plan) }
    }

    /// One of several readers that are opened together, as [`in_turn`](Self::in_turn).
    pub(super) fn part(jetstream: NatsJetStream, plan: Plan, generation: Option<u64>) -> Self {
        Self { state: State::Opening(Why::Part), generation, ..Self::new(jetstream, plan) }
    }

    /// Opens, and tells how the stream stood.
    pub(super) async fn opened(&mut self) -> Result<Opened> {
        if let State::Opening(why) = self.state {
            self.state = State::Ended;
            self.state = self.open(why).await?;
        }
        let info = (self.created, &self.progress);
        let (Some(created), Some(progress)) = info else {
            return Err(Error::new(ErrorKind::Unexpected, OPERATION, "a read opened on nothing"));
        };
        Ok(Opened {
            created,
            head: progress.target(),
            end: progress.end().unwrap_or(progress.target()),
            position: progress.position(),
            generation: self.generation,
        })
    }

    /// The connection over which all was well last.
    pub(super) fn generation(&self) -> Option<u64> {
        self.generation
    }

    /// When its stream was made, once it is open.
    pub(super) fn created(&self) -> Option<Timestamp> {
        self.created
    }

    /// How many that match wait on the server, by its last word.
    pub(super) fn pending(&self) -> u64 {
        match &self.state {
            State::Reading(consumer) => consumer.pending(),
            State::Opening(_) | State::Ended => 0,
        }
    }

    /// Looks at one thing that came, after waiting for some where none is here.
    async fn take(&mut self, mut consumer: Box<Ephemeral>) -> Result<State> {
        if self.arrived.is_empty() {
            if consumer.is_forgotten() {
                // The reader took its time, and the server may have let it go:
                // first what had come before, then another consumer.
                match consumer.try_message() {
                    Some(message) => self.arrived.push_back(message),
                    None => return Ok(State::Opening(Why::Turn)),
                }
            } else {
                match self.ask(&mut consumer).await {
                    // What broke is waited out as any break is.
                    Err(error) if is_passing(&error) => return Ok(self.broken(NOT_ASKED)),
                    asked => asked?,
                }
                if !self.ready.is_empty() {
                    return Ok(State::Reading(consumer));
                }
                match consumer.event().await {
                    Event::Message(message) => self.arrived.push_back(message),
                    Event::Denied(error) => return Err(error),
                    Event::Lost => {
                        tracing::debug!(stream = %self.plan.stream, "a read's connection is lost");
                        return Ok(State::Opening(Why::Lost));
                    }
                    Event::Silence if !consumer.live && consumer.is_at_work().await => {
                        return Ok(State::Reading(consumer));
                    }
                    Event::Silence => return Ok(self.broken("the server fell silent")),
                }
            }
            while self.arrived.len() < LOOKAHEAD
                && let Some(message) = consumer.try_message()
            {
                self.arrived.push_back(message);
            }
            self.first = None;
        }
        let Some(message) = self.arrived.pop_front() else { return Ok(State::Reading(consumer)) };
        match Status::read(&message) {
            None => self.on_message(consumer, message).await,
            Some(status) => self.on_status(consumer, status).await,
        }
    }

    /// Asks for more where there is room.
    async fn ask(&mut self, consumer: &mut Ephemeral) -> Result<()> {
        if !consumer.wants_pull(self.plan.is_filtered()) {
            return Ok(());
        }
        if self.plan.is_filtered() && consumer.stood_still() {
            self.look_for_gap(None).await?;
        }
        let remaining = self.progress.as_ref().and_then(Progress::remaining);
        let limit = remaining.filter(|_| !self.in_snapshot());
        consumer.pull(limit).await
    }

    async fn on_message(
        &mut self,
        mut consumer: Box<Ephemeral>,
        message: Message,
    ) -> Result<State> {
        let facts = message.reply.as_deref().and_then(AckSubject::parse);
        // Somebody else's message in our inbox.
        let Some(facts) = facts else { return Ok(State::Reading(consumer)) };
        if !consumer.count(&facts) {
            return Ok(self.broken("a delivery was lost on the way"));
        }
        self.floor = None;
        let sequence = facts.stream_sequence;
        let Some(progress) = &mut self.progress else { return Ok(State::Opening(Why::First)) };
        match progress.admit(sequence) {
            Admission::Known => return Ok(State::Reading(consumer)),
            Admission::BehindSnapshot => return Ok(self.leave_snapshot()),
            Admission::BehindEnd => {
                self.ready.extend(progress.catch_up(Some(sequence)));
                return Ok(State::Ended);
            }
            Admission::Deliver => {}
        }
        if !self.plan.is_filtered() && progress.jumps(sequence) {
            self.look_for_gap(Some(sequence)).await?;
        }
        let Some(progress) = &mut self.progress else { return Ok(State::Opening(Why::First)) };
        self.ready.extend(progress.catch_up(Some(sequence)));
        let message = stored(message, &facts);
        if self.plan.wants(&message) {
            progress.delivered(sequence);
            self.doubt = None;
            self.ready.push_back(Delivery::Message(message));
        } else {
            progress.examined(sequence);
        }
        self.ready.extend(progress.catch_up(None));
        Ok(self.on(consumer))
    }

    async fn on_status(&mut self, mut consumer: Box<Ephemeral>, status: Status) -> Result<State> {
        let Some(progress) = &mut self.progress else { return Ok(State::Opening(Why::First)) };
        match status {
            Status::Empty => return self.on_empty(consumer).await,
            Status::Heartbeat { consumer: delivered, stream } => {
                if delivered.is_some_and(|delivered| delivered != consumer.delivered) {
                    return Ok(self.broken("a delivery was lost on the way"));
                }
                if let Some(stream) = stream {
                    progress.examined(stream);
                }
                self.refresh(&consumer).await?;
            }
            Status::Ended { missing } => consumer.ended(missing),
            Status::Gone(_) if self.lead.is_some() && consumer.is_unheard() => {
                tokio::time::sleep(HEARD).await;
                consumer.ask_again();
            }
            Status::Gone(why) => {
                tracing::debug!(stream = %self.plan.stream, %why, "a consumer is gone");
                return Ok(State::Opening(Why::Broken));
            }
            Status::Refused(text) => return Err(refused(OPERATION, &text)),
        }
        Ok(self.on(consumer))
    }

    /// The consumer says that nothing is left.
    async fn on_empty(&mut self, mut consumer: Box<Ephemeral>) -> Result<State> {
        let owed = self.progress.as_ref().map_or(0, Progress::owed);
        if !consumer.live && consumer.pending() > 0 || !self.has_all(&consumer, owed).await? {
            return self.doubt(consumer).await;
        }
        if self.in_snapshot() {
            return Ok(self.leave_snapshot());
        }
        self.doubt = None;
        consumer.emptied();
        if let Some(progress) = &mut self.progress {
            progress.emptied();
            self.ready.extend(progress.catch_up(None));
        }
        Ok(self.on(consumer))
    }

    /// Takes no "nothing is left" from a server whose last word was that something
    /// is, nor from a replica that lacks what the leader has.
    ///
    /// A server says so of a pull that got old, however much it still has to look
    /// through, and then another pull gets more. Or what was left has gone
    /// meanwhile: a new consumer counts anew. A replica gets what it lacks, most
    /// often at once; a new consumer may be on another one. Believing it would end
    /// a read short, and nobody would know.
    async fn doubt(&mut self, mut consumer: Box<Ephemeral>) -> Result<State> {
        // The leader is found by trying, not by waiting.
        let seeks_leader = self.lead.is_some() && !self.can_ask();
        let (least, most) =
            if seeks_leader { (SEEK_MIN, RETRY_MIN) } else { (RETRY_MIN, RETRY_MAX) };
        let Some(doubt) = &mut self.doubt else {
            self.doubt = Some(Doubt { waited: Duration::ZERO, wait: least });
            consumer.ask_again();
            return Ok(State::Reading(consumer));
        };
        if doubt.waited > PATIENCE {
            return Err(self.disbelieved(&consumer));
        }
        tracing::debug!(stream = %self.plan.stream, pending = consumer.pending(), "a read is unsure");
        tokio::time::sleep(doubt.wait).await;
        doubt.waited += doubt.wait;
        doubt.wait = (doubt.wait * 2).min(most);
        Ok(State::Opening(Why::Turn))
    }

    /// The error of a server that wasn't believed for too long.
    fn disbelieved(&self, consumer: &Ephemeral) -> Error {
        let (message, hint) = if consumer.pending() > 0 {
            let message = "the server gives nothing more, and says that there is more";
            (message, "the server may be overloaded, or its store damaged: see its log")
        } else if self.may_not_ask {
            let message = "whether the replica that is read has all can't be told";
            (message, "the right to publish to `$JS.API.STREAM.MSG.GET.<stream>` lets it be told")
        } else {
            let message = "the replica that is read lacks what the leader has";
            (message, "a server of the cluster may be cut off, or catching up: see its log")
        };
        Error::new(ErrorKind::Unavailable, OPERATION, message)
            .with("stream", &self.plan.stream)
            .with("server", consumer.server().unwrap_or("unknown"))
            .with("pending", consumer.pending().to_string())
            .with_hint(hint)
    }

    /// On with the consumer, unless the end is reached.
    fn on(&self, consumer: Box<Ephemeral>) -> State {
        if self.progress.as_ref().is_some_and(Progress::is_done) {
            State::Ended
        } else {
            State::Reading(consumer)
        }
    }

    fn broken(&self, why: &'static str) -> State {
        tracing::debug!(stream = %self.plan.stream, why, "a read broke");
        State::Opening(Why::Broken)
    }

    /// The last messages of all subjects are read; every message from there on is next.
    fn leave_snapshot(&mut self) -> State {
        if let Some(progress) = &mut self.progress {
            progress.leave_snapshot();
            self.ready.extend(progress.catch_up(None));
            if progress.is_done() {
                return State::Ended;
            }
        }
        State::Opening(Why::Turn)
    }

    fn in_snapshot(&self) -> bool {
        self.progress.as_ref().is_some_and(Progress::in_snapshot)
    }

    /// Tells a gap in front of `next` if the stream's first sequence shows one.
    async fn look_for_gap(&mut self, next: Option<u64>) -> Result<()> {
        let first = match self.first {
            Some(first) => first,
            None => match self.jetstream.info(OPERATION, &self.plan.stream).await {
                Ok(info) => info.state.first_sequence,
                // What broke shows itself to the consumer too, which goes the way of breaks.
                Err(error) if is_passing(&error) => return Ok(()),
                Err(error) => return Err(error),
            },
        };
        self.first = Some(first);
        if let Some(progress) = &mut self.progress {
            self.ready.extend(progress.gap(first, next));
        }
        Ok(())
    }

    /// Moves the position of an idle read on over what doesn't match, or what
    /// ages meanwhile would look like a gap after a break.
    ///
    /// What was there a while ago is examined when the consumer says now that
    /// nothing matches it any more. A heartbeat doesn't say that: it may have
    /// waited here, unread, for as long as the reader took.
    async fn refresh(&mut self, consumer: &Ephemeral) -> Result<()> {
        if !self.plan.is_filtered() {
            return Ok(());
        }
        if let Some((last, since)) = self.floor {
            if since.elapsed() < SETTLED {
                return Ok(());
            }
            if consumer.has_given_all().await
                && self.has_all(consumer, last).await?
                && let Some(progress) = &mut self.progress
            {
                progress.examined(last);
            }
        }
        self.floor = None;
        match self.jetstream.info(OPERATION, &self.plan.stream).await {
            Ok(info) => {
                self.floor = Some((info.state.last_sequence, Instant::now()));
                self.lead = Lead::of(&info);
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Steps for Reader {
    fn ready(&mut self) -> &mut VecDeque<Delivery> {
        &mut self.ready
    }

    async fn step(&mut self) -> Result<bool> {
        self.state = match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => return Ok(false),
            State::Opening(why) => self.open(why).await?,
            State::Reading(consumer) => self.take(consumer).await?,
        };
        Ok(true)
    }
}

/// Whether it is of a break, which the consumer learns of too.
pub(super) fn is_passing(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable
            | ErrorKind::Timeout
            | ErrorKind::AuthFailed
            | ErrorKind::LimitReached
    )
}

fn stored(message: Message, facts: &AckSubject) -> StoredMessage {
    StoredMessage {
        subject: message.subject.into_string(),
        sequence: facts.stream_sequence,
        stored_at: facts.stored_at,
        headers: message.headers.as_ref().map(headers::of_delivery).unwrap_or_default(),
        payload: message.payload,
    }
}
