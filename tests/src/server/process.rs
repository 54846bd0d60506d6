//! One nats-server process and its life.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::binary::Version;
use super::config::ServerBuilder;
use super::watchdog::Watchdog;
use crate::wait;

/// A server with a big store recovers it before it listens.
pub(super) const START_DEADLINE: Duration = Duration::from_secs(30);
/// A server that is told to stop waits for its clients at most this long.
const STOP_DEADLINE: Duration = Duration::from_secs(30);
/// What of the log a failing test shows.
const LOG_LINES_SHOWN: usize = 80;

/// A nats-server of this test's own.
///
/// Ends when dropped, on a panic too, and when the test process is killed. A
/// test that fails shows the end of the server's log.
#[derive(Debug)]
pub struct NatsServer {
    settings: ServerBuilder,
    binary: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
    folder: TempDir,
    watchdog: Watchdog,
}

impl NatsServer {
    /// Starts a server of the latest version with JetStream, and waits until it
    /// takes connections.
    ///
    /// # Panics
    /// When there is no binary (see [`Version::binary`]), when the server ends
    /// at once (with its log), or when it isn't ready within 30 s.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Choices before the start.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    pub(super) async fn start_with(settings: ServerBuilder) -> Self {
        match Self::try_start_with(settings).await {
            Ok(server) => server,
            Err(log) => panic!("nats-server ended at once:\n{log}"),
        }
    }

    /// As [`start`](Self::start); the log of one that ended at once.
    pub(super) async fn try_start_with(settings: ServerBuilder) -> Result<Self, String> {
        let binary = settings.version.binary();
        let folder = TempDir::with_prefix("naq-nats-").expect("a temporary folder");
        fs::create_dir(folder.path().join("ports")).expect("a folder for the ports file");
        let watchdog = Watchdog::start(folder.path()).expect("/bin/sh runs");
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { settings, binary, address, child: None, folder, watchdog };
        match server.launch(None).await {
            Some(()) => Ok(server),
            None => Err(server.log()),
        }
    }

    /// The URL for clients, without credentials.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// The URL for clients, with a user and a password in it.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        format!("nats://{user}:{password}@{}", self.address)
    }

    /// Where it listens; the same after a restart.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The version that was asked for.
    pub const fn version(&self) -> Version {
        self.settings.version
    }

    /// A plain client of its own, for what a test does behind naq's back.
    ///
    /// # Panics
    /// When the server doesn't let it in.
    pub async fn client(&self) -> async_nats::Client {
        self.client_with(async_nats::ConnectOptions::new()).await
    }

    /// As [`client`](Self::client), with a user's name and password.
    ///
    /// # Panics
    /// When the server doesn't let it in.
    pub async fn client_as(&self, user: &str, password: &str) -> async_nats::Client {
        let options = async_nats::ConnectOptions::new();
        self.client_with(options.user_and_password(user.to_owned(), password.to_owned())).await
    }

    async fn client_with(&self, options: async_nats::ConnectOptions) -> async_nats::Client {
        match options.connect(self.url()).await {
            Ok(client) => client,
            Err(error) => panic!("no connection to {}: {error}", self.url()),
        }
    }

    /// Ends the process as kill -9 does. The store stays.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("one's own child may be killed");
            child.wait().expect("a killed child ends");
            // Its pid is free from here on: the watchdog must not have it.
            self.watchdog.release().expect("the watchdog listens");
        }
    }

    /// Ends the process as an operator does (SIGTERM), and waits for its end.
    ///
    /// # Panics
    /// When it still runs after 30 s.
    pub async fn stop(&mut self) {
        self.signal(Signal::TERM);
        let Some(child) = &mut self.child else { return };
        wait::until("nats-server to stop", STOP_DEADLINE, async || has_ended(child)).await;
        self.child = None;
        self.watchdog.release().expect("the watchdog listens");
    }

    /// Freezes the process (SIGSTOP): its connections stay, it says nothing. All
    /// of its threads stand when this returns.
    ///
    /// # Panics
    /// When it doesn't run.
    pub async fn pause(&self) {
        self.signal(Signal::STOP);
        let child = self.child.as_ref().expect("only a running server can be paused");
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        wait::until("nats-server to freeze", STOP_DEADLINE, async || {
            let status = waitid(WaitId::Pid(Pid::from_child(child)), options);
            status.expect("one's own child can be asked").is_some()
        })
        .await;
    }

    /// Lets a frozen process go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Starts it again on the same port and store, killing it first (as
    /// [`kill`](Self::kill)) if it still runs.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn restart(&mut self) {
        self.kill();
        let port = self.address.port();
        // For a moment somebody's outgoing connection may hold the port.
        wait::until("nats-server to start again on its port", START_DEADLINE, async || {
            let started = self.launch(Some(port)).await;
            assert!(
                started.is_some() || self.log().contains("address already in use"),
                "nats-server did not start again:\n{}",
                self.log()
            );
            started.is_some()
        })
        .await;
    }

    /// As [`restart`](Self::restart), with another version on the same store.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn restart_as(&mut self, version: Version) {
        self.binary = version.binary();
        self.settings.version = version;
        self.restart().await;
    }

    /// Whether the process runs (a frozen one does).
    pub fn is_running(&mut self) -> bool {
        if self.child.as_mut().is_some_and(has_ended) {
            self.kill();
        }
        self.child.is_some()
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// What it has logged since its first start.
    pub fn log(&self) -> String {
        match fs::read(self.log_file()) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => format!("(its log can't be read: {error})"),
        }
    }

    /// The configuration file, written anew at each start.
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("nats.conf")
    }

    /// JetStream's folder.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Prints the end of the log, where a test runner shows it.
    #[allow(clippy::print_stderr, reason = "a failing test's output is for people")]
    pub(super) fn show_log(&self) {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
        eprintln!("--- nats-server {}, end of log\n{}\n---", self.version(), shown.join("\n"));
    }

    /// Spawns the process and waits until it listens; `None` when it ended first.
    async fn launch(&mut self, port: Option<u16>) -> Option<()> {
        let config = self.settings.to_text(self.folder.path(), port);
        fs::write(self.config_file(), config).expect("the temporary folder takes files");
        let log = File::options().create(true).append(true).open(self.log_file());
        let log = log.expect("the temporary folder takes files");
        let child = Command::new(&self.binary)
            .arg("--config")
            .arg(self.config_file())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be had twice"))
            .stderr(log)
            // Ctrl-C is for the test; the watchdog ends the server after it.
            .process_group(0)
            .spawn();
        let child = match child {
            Ok(child) => self.child.insert(child),
            Err(error) => panic!("{} doesn't run: {error}", self.binary.display()),
        };
        let pid = child.id();
        self.watchdog.guard(pid).expect("the watchdog listens");

        let ports = self.folder.path().join("ports");
        let address = wait::some("nats-server to be ready", START_DEADLINE, async || {
            if has_ended(child) {
                return Some(None);
            }
            let address = listening_address(&ports, pid)?;
            TcpStream::connect(address).await.ok().map(|_| Some(address))
        })
        .await;
        match address {
            Some(address) => self.address = address,
            None => self.kill(),
        }
        address.map(|_| ())
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("nats-server.log")
    }

    fn signal(&self, signal: Signal) {
        if let Some(child) = &self.child {
            kill_process(Pid::from_child(child), signal).expect("one's own child takes signals");
        }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if thread::panicking() {
            self.show_log();
        }
        self.kill();
    }
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().expect("one's own child can be asked").is_some()
}

/// What the server wrote about its listeners, once it has: a file
/// `<name of the binary>_<pid>.ports`, which it writes when all of them listen.
fn listening_address(ports: &Path, pid: u32) -> Option<SocketAddr> {
    let suffix = format!("_{pid}.ports");
    let file = fs::read_dir(ports)
        .expect("the harness made the folder")
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().ends_with(&suffix))?;
    // Half written, it isn't JSON yet.
    let content: Value = serde_json::from_slice(&fs::read(file.path()).ok()?).ok()?;
    let url = content["nats"][0].as_str().or_else(|| content["tls"][0].as_str())?;
    url.split_once("://")?.1.parse().ok()
}
