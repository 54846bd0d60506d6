//! The code in README and docs does what it says: every Rust block runs, in
//! memory and on a server, every `naq` command of the `sh` blocks succeeds, and a
//! crate outside of the workspace needs no more than that (`outside`).
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use naq_tests::server::NatsServer;
use naq_tests::{cli, command, markdown};

#[path = "docs/outside.rs"]
mod outside;

/// What `build.rs` made of the documents: the tests that they show, and their
/// programs.
#[allow(warnings, clippy::all, clippy::pedantic, reason = "documents show, they don't lint")]
mod documents {
    use std::error::Error;
    use std::fmt::Debug;

    pub(super) type Outcome = Result<(), Box<dyn Error>>;

    /// What a `main` may return.
    trait Ended {
        fn ended(self) -> Outcome;
    }

    impl Ended for () {
        fn ended(self) -> Outcome {
            Ok(())
        }
    }

    impl<E: Debug> Ended for Result<(), E> {
        fn ended(self) -> Outcome {
            self.map_err(|error| format!("{error:?}").into())
        }
    }

    fn finish(program: impl Future<Output = Outcome>) -> Outcome {
        tokio::runtime::Runtime::new()?.block_on(program)
    }

    include!(concat!(env!("OUT_DIR"), "/documents.rs"));
}

/// Says to a process of this test that it is to be a document's program.
const PROGRAM: &str = "TESTS_PROGRAM";
const DEADLINE: Duration = Duration::from_secs(60);

/// Before a document's commands: what a reader ends by Ctrl-C ends by itself.
const PRELUDE: &str = r#"
naq() {
    case " $* " in
        *" --until-now "* | *" --help "*) command naq "$@" ;;
        *" keeper status "*) command naq "$@" ;;
        *" tail "* | *" watch "* | *" react "* | *" keeper "*) timeout --signal=INT 2 naq "$@" || test $? -eq 124 ;;
        *) command naq "$@" ;;
    esac
}
"#;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A command in an empty folder, with naq's URL as its only setting.
fn alone(program: impl AsRef<std::ffi::OsStr>, folder: &Path, url: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("NAQ_NATS_URL", url).env("HOME", folder).current_dir(folder);
    command
}

/// Runs a program in a process of its own, because its URL is in the environment.
fn run_program(program: &str, url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut run = alone(env::current_exe().unwrap(), folder.path(), url);
    run.env(PROGRAM, program);
    run.args(["--exact", "every_rust_block_of_the_documents_runs_in_memory", "--nocapture"]);
    let done = command::run(&mut run, DEADLINE);
    assert_eq!(done.code, Some(0), "{program} on {url}:\n{}{}", done.stdout, done.stderr);
}

#[test]
fn every_rust_block_of_the_documents_runs_in_memory() {
    if let Ok(program) = env::var(PROGRAM) {
        return documents::run(&program).unwrap();
    }
    for program in documents::PROGRAMS {
        run_program(program, "memory://");
    }
}

#[tokio::test]
async fn every_rust_block_of_the_documents_runs_on_a_server() {
    for program in documents::PROGRAMS {
        run_program(program, &NatsServer::start().await.url());
    }
}

#[tokio::test]
async fn every_naq_command_of_the_documents_succeeds() {
    for path in markdown::documents(root()).unwrap() {
        let commands = naq_commands(&path);
        if !commands.is_empty() {
            let server = NatsServer::start().await;
            run_commands(&path, &commands, &server.url());
        }
    }
}

/// The `sh` blocks of a document that call naq; others are for a developer's tools.
fn naq_commands(document: &PathBuf) -> String {
    let text = std::fs::read_to_string(document).unwrap();
    let calls =
        |code: &str| code.lines().any(|line| line.starts_with("naq ") || line.contains("| naq "));
    markdown::blocks(&text)
        .into_iter()
        .filter(|block| block.language == "sh" && calls(&block.code))
        .map(|block| block.code)
        .collect()
}

fn run_commands(document: &Path, commands: &str, url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let binaries = cli::naq().parent().unwrap();
    let path = format!("{}:{}", binaries.display(), env::var("PATH").unwrap());
    let script = PRELUDE.to_owned() + &commands.replace("nats://127.0.0.1:4222", url);
    let mut bash = alone("bash", folder.path(), url);
    bash.env("PATH", path).args(["-euxo", "pipefail", "-c", &script]);
    let done = command::run(&mut bash, DEADLINE);
    // With -x the last line that begins with a + is the command that failed.
    assert_eq!(done.code, Some(0), "{}:\n{}", document.display(), done.stderr);
}
