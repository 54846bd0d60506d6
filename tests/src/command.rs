//! Running a command to its end, with a deadline.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

/// Runs a command without input.
///
/// # Panics
/// As [`run_with`].
pub fn run(command: &mut Command, within: Duration) -> Finished {
    run_with(command, b"", within)
}

/// Runs a command with this on its standard input.
///
/// # Panics
/// When it can't be started, and when it hasn't ended within the given time: it
/// is killed then, and what it wrote is shown.
pub fn run_with(command: &mut Command, input: &[u8], within: Duration) -> Finished {
    // Files, not pipes: nobody has to read along.
    let mut stdin = file();
    stdin.write_all(input).expect("a temporary file takes bytes");
    stdin.rewind().expect("a file can be read from its start");
    let (stdout, stderr) = (file(), file());
    let share = |file: &File| Stdio::from(file.try_clone().expect("a file can be had twice"));
    command.stdin(stdin).stdout(share(&stdout)).stderr(share(&stderr));
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("{command:?} doesn't start: {error}"),
    };
    let code = end(child, within);
    let [stdout, stderr] = [stdout, stderr].map(text);
    match code {
        Some(code) => Finished { code, stdout, stderr },
        None => panic!("{command:?} still ran after {within:?}\n{stdout}\n{stderr}"),
    }
}

/// Waits for the end; kills what hasn't ended by then, and says `None`.
fn end(mut child: Child, within: Duration) -> Option<Option<i32>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("one's own child can be asked") {
            return Some(status.code());
        }
        if start.elapsed() > within {
            child.kill().expect("one's own child may be killed");
            child.wait().expect("a killed child ends");
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn file() -> File {
    tempfile::tempfile().expect("a temporary file")
}

fn text(mut file: File) -> String {
    let mut bytes = Vec::new();
    file.rewind().expect("a file can be read from its start");
    file.read_to_end(&mut bytes).expect("a temporary file can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}
