//! Ends a server, and removes its folder, when the test process is gone.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Reads pids line by line; at the end of input it kills the last one it read
/// (an empty line: nobody) and removes the folder. The pid is a child of the
/// test process and cannot be somebody else's: the line for its end is written
/// before it is reaped for good.
const SCRIPT: &str = r#"
guarded=
while read -r line; do guarded=$line; done
if [ -n "$guarded" ]; then
    kill -9 "$guarded" 2>/dev/null
    tries=0
    while [ "$tries" -lt 40 ] && kill -0 "$guarded" 2>/dev/null; do
        sleep 0.05
        tries=$((tries + 1))
    done
fi
rm -rf "$1"
"#;

/// A shell that holds one end of a pipe. However the test process ends, SIGKILL
/// included, the kernel closes the other end, and the shell does its work.
///
/// It is in a process group of its own, so that Ctrl-C in a terminal or a test
/// runner that kills the test's group leaves it alive for that.
#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    pub(super) fn start(folder: &Path) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "naq-tests-watchdog"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }

    /// From now on this process is the one to kill.
    pub(super) fn guard(&mut self, pid: u32) -> io::Result<()> {
        self.tell(&format!("{pid}\n"))
    }

    /// From now on there is nobody to kill.
    pub(super) fn release(&mut self) -> io::Result<()> {
        self.tell("\n")
    }

    fn tell(&mut self, line: &str) -> io::Result<()> {
        match &mut self.pipe {
            Some(pipe) => pipe.write_all(line.as_bytes()),
            None => Err(io::Error::from(io::ErrorKind::BrokenPipe)),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.pipe = None;
        // Nothing depends on how it ended; this only reaps it.
        let _ = self.shell.wait();
    }
}
