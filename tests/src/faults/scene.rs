//! A server, a ledger, and the judgement at the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use naq_core::config::NaqConfig;
use naq_core::events::Event;
use tempfile::TempDir;

use super::memory::MemoryWatch;
use super::{PATIENCE, Producer, Program};
use crate::ledger::{Book, Case, Readings, Repeats, Violation};
use crate::server::{NatsServer, ServerBuilder};
use crate::wait;

/// Where naq stores events unless told otherwise.
const STREAM: &str = "events";

/// How long ago the newest event was logged where none had to wait.
const A_MOMENT: Duration = Duration::from_millis(500);

/// What a scenario plays on.
#[derive(Debug)]
pub struct Scene {
    /// The server, to be treated badly.
    pub server: NatsServer,
    /// The ledger.
    pub book: Arc<Book>,
    /// Whether events may be stored twice.
    pub repeats: Repeats,
    /// Whether what ended unknown may be stored behind later events of its series.
    pub unknown_may_be_late: bool,
    memory: MemoryWatch,
    folder: TempDir,
}

impl Scene {
    /// A server of the latest version with a new ledger.
    pub async fn new() -> Self {
        Self::on(NatsServer::builder()).await
    }

    /// The same on such a server.
    pub async fn on(server: ServerBuilder) -> Self {
        let folder = TempDir::with_prefix("naq-ledger-").expect("a temporary folder");
        let book = Arc::new(Book::open(&folder.path().join("ledger.ndjson")));
        let server = server.start().await;
        let memory = MemoryWatch::begin();
        let (repeats, unknown_may_be_late) = (Repeats::Never, false);
        Self { server, book, repeats, unknown_may_be_late, memory, folder }
    }

    /// A program whose events are in the ledger under that name.
    pub async fn program(&self, name: &str, config: NaqConfig) -> (Program, Producer) {
        self.memory.allow(config.events.buffer_max_bytes.bytes());
        let events = config.events.clone();
        let program = Program::start(config).await.unwrap();
        let producer = Producer::new(name, &program.events, &events, &self.book);
        (program, producer)
    }

    /// A folder for whatever the scenario needs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until each of these jobs' newest stored event was logged a moment
    /// ago: none has to wait any more.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn caught_up(&self, jobs: usize) {
        let client = self.server.client().await;
        let stream = async_nats::jetstream::new(client).get_stream(STREAM).await.unwrap();
        for job in 0..jobs {
            let subject = format!("{STREAM}.*.job{job}");
            wait::until("the events that waited to be stored", PATIENCE, async || {
                let message = stream.direct_get_last_for_subject(&subject).await.unwrap();
                let event: Event = serde_json::from_slice(&message.payload).unwrap();
                let logged = event.timestamp.expect("naq says when an event was logged");
                // A clock that stepped back makes it none.
                let age = SystemTime::now().duration_since(logged.into()).unwrap_or_default();
                age < A_MOMENT
            })
            .await;
        }
    }

    /// What the ledger and the stream say together.
    pub async fn case(&self) -> Case {
        // Before the harness takes memory for what it reads.
        self.memory.line().iter().for_each(|line| self.book.write(line));
        let readings = Readings::of(&self.server.client().await, STREAM).await;
        let (repeats, unknown_may_be_late) = (self.repeats, self.unknown_may_be_late);
        Case { history: self.book.history(), readings, repeats, unknown_may_be_late }
    }

    /// Reads the whole stream twice and holds it against the ledger.
    ///
    /// # Panics
    /// When a rule is broken, naming it; the ledger's file is kept then.
    pub async fn judge(&self) -> Case {
        let case = self.case().await;
        let violations = case.violations();
        assert!(violations.is_empty(), "{}", self.told(&violations));
        // A scenario in which nothing happened has shown nothing.
        assert!(!case.history.events.is_empty(), "nothing was offered");
        case
    }

    /// Ends a program whose events all get stored, and judges.
    ///
    /// # Panics
    /// When one isn't stored, when a rule is broken, and when the stop leaves something undone.
    pub async fn ends_well(&self, program: Program, producer: &Producer) -> Case {
        producer.settle(PATIENCE).await;
        producer.count();
        let case = self.judge().await;
        program.stop().await;
        case
    }

    /// Holds the ledger against itself and the counters, where there is no stream left.
    ///
    /// # Panics
    /// When a rule is broken.
    pub fn judge_without_stream(&self) {
        let case = Case { history: self.book.history(), ..Case::default() };
        let violations = case.violations();
        assert!(violations.is_empty(), "{}", self.told(&violations));
    }

    fn told(&self, violations: &[Violation]) -> String {
        let kept = self.keep().map_or_else(
            |error| format!("the ledger can't be kept: {error}"),
            |path| format!("the ledger is kept at {}", path.display()),
        );
        let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
        format!("broken:\n  {}\n{kept}", lines.join("\n  "))
    }

    /// Copies the ledger to where it outlives the test.
    fn keep(&self) -> std::io::Result<PathBuf> {
        let folder = TempDir::with_prefix("naq-kept-ledger-")?.keep();
        let path = folder.join("ledger.ndjson");
        std::fs::copy(self.book.path(), &path)?;
        Ok(path)
    }
}
