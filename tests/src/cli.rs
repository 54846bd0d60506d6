//! The `naq` command that the tests run.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use crate::command;

/// From nothing, on a slow machine.
const BUILD_DEADLINE: Duration = Duration::from_secs(15 * 60);

/// The path of the `naq` binary that belongs to the tree as it is.
///
/// A run over the whole workspace has just built it; where only this package's
/// tests were built and it is missing or older than its sources, cargo builds it
/// now.
///
/// # Panics
/// When it doesn't build.
pub fn naq() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let path = beside_the_tests().join("naq");
        if modified(&path).is_none_or(|built| built < newest_source()) {
            build();
        }
        assert!(path.is_file(), "cargo built no {}", path.display());
        path
    })
}

/// Cargo puts binaries into `target/<profile>/` and tests into its `deps/`.
fn beside_the_tests() -> PathBuf {
    let test = env::current_exe().expect("a test knows where it is");
    test.ancestors().nth(2).expect("tests are in a folder of the target folder").to_owned()
}

fn build() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--package", "naq-cli", "--bin", "naq"]).current_dir(root);
    // By name, because tests may run under another target folder than cargo's own choice.
    if let Some(target) = beside_the_tests().parent() {
        cargo.arg("--target-dir").arg(target);
    }
    let built = command::run(&mut cargo, BUILD_DEADLINE);
    assert_eq!(built.code, Some(0), "naq doesn't build:\n{}", built.stderr);
}

/// When the youngest file below `crates/` was written.
fn newest_source() -> SystemTime {
    fn newest(folder: &Path) -> Option<SystemTime> {
        let entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
        entries
            .filter_map(|entry| {
                let path = entry.path();
                if path.is_dir() { newest(&path) } else { modified(&path) }
            })
            .max()
    }
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    newest(&crates).expect("the workspace has sources")
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
