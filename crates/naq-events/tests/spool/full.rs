//! A disk that is really full: the system limits how long a file may get.

use std::process::Command;

use naq_events::spool::{Spool, SpoolOptions};

use crate::child::start;
use crate::numbers;

#[tokio::test]
async fn a_program_lives_on_when_the_disk_is_full_and_loses_nothing_it_had_accepted() {
    let root = tempfile::tempdir().unwrap();
    // 64 blocks of 512 bytes; without the signal that would end the program.
    let limited = |program: std::path::PathBuf| {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""]).arg(program);
        command
    };
    let mut told = start("fill", root.path(), 1, limited);
    let mut told_of = |word: &str| {
        let (said, number) = told.next().expect("the child lives");
        assert_eq!(said, word);
        number
    };
    let full = told_of("full");
    assert!(full > 50, "{full}");
    assert_eq!(told_of("kept"), full - 1);
    assert_eq!(told_of("added"), full);
    assert!(told.child.wait().unwrap().success());
    let (spool, recovered) = Spool::open(root.path(), SpoolOptions::default()).await.unwrap();
    assert_eq!((recovered.events, recovered.torn, recovered.corrupt), (1, 0, 0));
    assert_eq!(numbers(&spool).await, [full]);
}
