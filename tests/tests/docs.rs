//! The code in README and docs does what it says: every Rust block runs, in
//! memory and on a server, and every `naq` command of the `sh` blocks succeeds.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use naq_tests::server::NatsServer;
use naq_tests::{cli, command, markdown};

/// The tests that documents show, and the names of their programs.
#[allow(warnings, clippy::all, clippy::pedantic, reason = "documents show, they don't lint")]
mod cases {
    include!(concat!(env!("OUT_DIR"), "/cases.rs"));

    pub(super) const ALL: &[&str] = PROGRAMS;
}

const DEADLINE: Duration = Duration::from_secs(60);

/// Before a document's commands: what a reader ends by Ctrl-C ends by itself.
const PRELUDE: &str = r#"
naq() {
    case " $* " in
        *" --until-now "* | *" --help "*) command naq "$@" ;;
        *" tail "* | *" watch "*) timeout --signal=INT 2 naq "$@" || test $? -eq 124 ;;
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

fn run_program(program: &str, url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut run = alone(env!("CARGO_BIN_EXE_doc-programs"), folder.path(), url);
    let done = command::run(run.arg(program), DEADLINE);
    assert_eq!(done.code, Some(0), "{program} on {url}:\n{}{}", done.stdout, done.stderr);
}

#[test]
fn every_rust_block_of_the_documents_runs_in_memory() {
    for program in cases::ALL {
        run_program(program, "memory://");
    }
}

#[tokio::test]
async fn every_rust_block_of_the_documents_runs_on_a_server() {
    for program in cases::ALL {
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
