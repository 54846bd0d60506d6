//! A member of a group at work: its tasks, their life, and their end.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use naq_core::clock::ClockExt;
use naq_core::jetstream::Acknowledge;
use naq_core::service::StopReport;
use naq_core::{Error, ErrorKind, Result, RetryClass};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::REACT;
use super::dispatch::Dispatcher;
use super::feed::{Feed, Origin, check_log};
use super::queue::Queue;
use super::registry::{GroupMember, RENEW, Registry};
use super::tally::ReactionCounters;
use super::work::Source;
use super::worker::work;

/// Signs of life go to the server this many times within the ack wait.
const SIGNS: u32 = 3;

/// Between two tries to learn whether the group is paused, at the beginning.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long a fetch that is under way may go on when the member stops.
const LAST_FETCH: Duration = Duration::from_millis(250);

/// Where a member's events come from.
pub(super) struct Sources {
    /// The log's stream, and what it is.
    pub(super) log: (String, Source),
    /// How many of its events the consumer hands out without an answer.
    pub(super) in_hand: usize,
    /// The stream of replays, if members may read it, and how many of its
    /// events the consumer hands out without an answer.
    pub(super) replay: Option<(String, usize)>,
}

/// So many events a consumer hands out without an answer unless told otherwise.
const IN_HAND: usize = 1_000;

/// A member of a group.
pub(super) struct Member {
    group: Arc<str>,
    dispatcher: Arc<Dispatcher>,
    queue: Arc<Queue>,
    registry: Registry,
    name: String,
    /// Set once nothing more is to be handled.
    stopping: watch::Sender<bool>,
    /// Set once something is wrong for good.
    ended: watch::Sender<Option<Error>>,
    /// How many members the group has, as far as is known.
    members: watch::Sender<usize>,
    tasks: Mutex<Option<Tasks>>,
}

/// The tasks of a member; dropping them ends them.
struct Tasks {
    feeds: JoinSet<()>,
    workers: JoinSet<()>,
    others: JoinSet<()>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").field("group", &self.group).field("name", &self.name).finish()
    }
}

impl Member {
    /// Begins to work.
    pub(super) fn start(
        group: &str,
        dispatcher: Dispatcher,
        registry: Registry,
        sources: Sources,
        ack_wait: Duration,
    ) -> Result<Arc<Self>> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                REACT,
                "a member of a group needs a tokio runtime",
            ));
        }
        let name = format!("{}-{:08x}", std::process::id(), fastrand::u32(..));
        let member = Arc::new(Self {
            group: Arc::from(group),
            dispatcher: Arc::new(dispatcher),
            queue: Arc::new(Queue::default()),
            registry,
            name,
            stopping: watch::Sender::new(false),
            ended: watch::Sender::new(None),
            members: watch::Sender::new(1),
            tasks: Mutex::new(None),
        });
        let tasks = member.spawn(sources, ack_wait);
        *member.tasks.lock().unwrap_or_else(PoisonError::into_inner) = Some(tasks);
        Ok(member)
    }

    fn spawn(&self, sources: Sources, ack_wait: Duration) -> Tasks {
        // Nothing is fetched before it is known whether the group is paused.
        let (pause, paused) = watch::channel(true);
        let mut workers = JoinSet::new();
        for _ in 0..self.dispatcher.options.concurrency {
            let (queue, dispatcher) = (Arc::clone(&self.queue), Arc::clone(&self.dispatcher));
            workers.spawn(work(queue, dispatcher));
        }
        let (mut feeds, mut others) = (JoinSet::new(), JoinSet::new());
        let (stream, source) = sources.log;
        feeds.spawn(feed(
            self.feed(stream.clone(), source, sources.in_hand, paused.clone()),
            self.ends(),
        ));
        if let Some((replay, in_hand)) = sources.replay {
            feeds.spawn(feed(self.feed(replay, Source::Replay, in_hand, paused), self.ends()));
        }
        others.spawn(show_life(Arc::clone(&self.dispatcher), ack_wait / SIGNS));
        others.spawn(watch_log(Arc::clone(&self.dispatcher), stream, source, self.ends()));
        let (registry, group) = (self.registry.clone(), Arc::clone(&self.group));
        others.spawn(follow(registry, group, Arc::clone(&self.dispatcher), pause));
        let dispatcher = Arc::clone(&self.dispatcher);
        let concurrency = dispatcher.options.concurrency;
        let card = GroupMember::new(self.name.clone(), dispatcher.clock.now(), concurrency);
        let (registry, group) = (self.registry.clone(), Arc::clone(&self.group));
        let (members, ended) = (self.members.clone(), self.ended.subscribe());
        others.spawn(introduce(registry, group, card, dispatcher, members, ended));
        Tasks { feeds, workers, others }
    }

    fn feed(
        &self,
        stream: String,
        source: Source,
        in_hand: usize,
        paused: watch::Receiver<bool>,
    ) -> Feed {
        let origin = Origin {
            dispatcher: Arc::clone(&self.dispatcher),
            group: Arc::clone(&self.group),
            stream,
            source,
            in_hand: if in_hand == 0 { IN_HAND } else { in_hand },
        };
        let (stopping, members) = (self.stopping.subscribe(), self.members.subscribe());
        Feed { origin, queue: Arc::clone(&self.queue), paused, stopping, members }
    }

    fn ends(&self) -> Ends {
        Ends { stopping: self.stopping.clone(), ended: self.ended.clone() }
    }

    pub(super) fn group(&self) -> &str {
        &self.group
    }

    pub(super) fn counters(&self) -> ReactionCounters {
        self.dispatcher.tally.counters()
    }

    /// What is wrong for good, if something is.
    pub(super) fn trouble(&self) -> Option<Error> {
        self.ended.borrow().clone()
    }

    /// Waits until something is wrong for good, and says what; `Closed` after a stop.
    pub(super) async fn ended(&self) -> Error {
        let mut ended = self.ended.subscribe();
        // The sender lives as long as `self`.
        match ended.wait_for(Option::is_some).await {
            Ok(error) => error.clone().unwrap_or_else(closed),
            Err(_) => closed(),
        }
    }

    /// Takes nothing more, finishes what is under way within `within`, and
    /// gives the rest back at once.
    pub(super) async fn stop(&self, within: Duration) -> StopReport {
        let Dispatcher { clock, tally, hand, jetstream, .. } = &*self.dispatcher;
        let deadline = clock.deadline(within);
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Tasks { mut feeds, mut workers, mut others }) = tasks else {
            return StopReport::default();
        };
        let before = tally.finished();
        self.stopping.send_replace(true);
        // What is taken out here is in hand still, and given back with the rest.
        self.queue.close();
        // Signs of life go on for what is under way.
        let finished = async {
            while feeds.join_next().await.is_some() {}
            while workers.join_next().await.is_some() {}
        };
        let in_time = clock.until(deadline, finished).await.is_some();
        feeds.shutdown().await;
        workers.shutdown().await;
        others.shutdown().await;
        let rest = hand.give_up();
        let given_back = rest.len() as u64;
        for token in rest {
            let again = Acknowledge::Retry { after: Duration::ZERO };
            if let Err(error) = jetstream.acknowledge(&token, again).await {
                tracing::warn!(group = &*self.group, %error, "events can't be given back: they come again after the ack wait");
                break;
            }
        }
        if let Err(error) = self.registry.leave(&self.group, &self.name).await {
            tracing::debug!(group = &*self.group, %error, "the member can't sign off");
        }
        self.ended.send_if_modified(|ended| {
            let stopped = ended.is_none();
            if stopped {
                *ended = Some(closed());
            }
            stopped
        });
        let acked = tally.finished() - before;
        tracing::info!(group = &*self.group, acked, given_back, in_time, "a member has stopped");
        StopReport::default().with_acked(acked).with_pending(given_back)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, REACT, "the member has stopped")
}

/// How a task ends its member.
struct Ends {
    stopping: watch::Sender<bool>,
    ended: watch::Sender<Option<Error>>,
}

impl Ends {
    /// Whether something is wrong for good, or the stop is over.
    fn have_come(&self) -> bool {
        self.ended.borrow().is_some()
    }

    fn end(&self, error: Error) {
        tracing::error!(%error, "a member of a group has ended");
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(error);
            }
            first
        });
        self.stopping.send_replace(true);
    }
}

/// Fetches until the member stops. A fetch that is under way then may still
/// end: what it brings would otherwise be away until the ack wait is over.
async fn feed(feed: Feed, ends: Ends) {
    let mut stopping = ends.stopping.subscribe();
    let dispatcher = Arc::clone(&feed.origin.dispatcher);
    let queue = Arc::clone(&feed.queue);
    let mut run = pin!(feed.run());
    let trouble = tokio::select! {
        biased;
        () = async { drop(stopping.wait_for(|stopping| *stopping).await) } => None,
        error = &mut run => Some(error),
    };
    match trouble {
        Some(error) => ends.end(error),
        // What ends it now is that the member stops, or another of its tasks.
        None => {
            let clock = &dispatcher.clock;
            drop(clock.until(clock.deadline(LAST_FETCH), run).await);
        }
    }
    if ends.have_come() {
        // What nobody has begun with is for the other members, if there are any.
        for work in queue.close() {
            dispatcher.answer(&work, Acknowledge::Retry { after: Duration::ZERO }).await;
        }
    }
}

/// Tells the server of what has been in hand for long that it is still being handled.
async fn show_life(dispatcher: Arc<Dispatcher>, every: Duration) {
    let Dispatcher { clock, hand, jetstream, .. } = &*dispatcher;
    loop {
        clock.sleep(every / 2).await;
        let now = clock.monotonic();
        for token in hand.silent_since(now.saturating_sub(every), now) {
            if let Err(error) = jetstream.acknowledge(&token, Acknowledge::InProgress).await {
                tracing::debug!(%error, "a sign of life can't be sent");
                break;
            }
        }
    }
}

/// Ends the member when its log has been made anew.
async fn watch_log(dispatcher: Arc<Dispatcher>, stream: String, source: Source, ends: Ends) {
    loop {
        dispatcher.clock.sleep(RENEW).await;
        if let Err(error) = check_log(&*dispatcher.jetstream, &stream, source).await {
            return ends.end(error);
        }
    }
}

/// Keeps to whether the group is paused.
async fn follow(
    registry: Registry,
    group: Arc<str>,
    dispatcher: Arc<Dispatcher>,
    pause: watch::Sender<bool>,
) {
    loop {
        match registry.is_paused(&group).await {
            Ok(paused) => pause.send_replace(paused),
            // A server that is away hands out no events either.
            Err(error) if error.retry() != RetryClass::Never => {
                dispatcher.clock.sleep(LOOK_AGAIN).await;
                continue;
            }
            Err(error) => {
                tracing::info!(group = &*group, %error, "this member can't be paused");
                pause.send_replace(false)
            }
        };
        break;
    }
    loop {
        if let Err(error) = registry.follow(&group, &pause).await {
            tracing::debug!(group = &*group, %error, "whether the group is paused can't be read");
        }
        dispatcher.clock.sleep(RENEW).await;
    }
}

/// Shows the group that this member is at work and what it does, and counts the
/// members, until this one has ended because something was wrong.
async fn introduce(
    registry: Registry,
    group: Arc<str>,
    mut card: GroupMember,
    dispatcher: Arc<Dispatcher>,
    members: watch::Sender<usize>,
    mut ended: watch::Receiver<Option<Error>>,
) {
    let Dispatcher { clock, tally, hand, .. } = &*dispatcher;
    loop {
        if let Err(error) = registry.renew(&group, &card).await {
            tracing::debug!(group = &*group, %error, "the member can't be shown to others");
        }
        match registry.count(&group).await {
            Ok(count) => drop(members.send_replace(count)),
            Err(error) => {
                tracing::debug!(group = &*group, %error, "the members can't be counted");
            }
        }
        let (begun, before) = (clock.monotonic(), tally.finished());
        let until = clock.deadline(RENEW);
        let ends = async { drop(ended.wait_for(Option::is_some).await) };
        if clock.until(until, ends).await.is_some() {
            if let Err(error) = registry.leave(&group, &card.member).await {
                tracing::debug!(group = &*group, %error, "the member can't sign off");
            }
            return;
        }
        let span = clock.elapsed_since(begun).as_secs_f64().max(f64::MIN_POSITIVE);
        card.rate = (tally.finished() - before) as f64 / span;
        card.in_hand = hand.len();
        card.counters = tally.counters();
    }
}
