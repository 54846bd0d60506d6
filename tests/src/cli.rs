//! The `naq` command that the tests run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use crate::cargo::{cargo, profile_folder, target_folder};
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
        let path = profile_folder().join("naq");
        if modified(&path).is_none_or(|built| built < newest_source()) {
            build();
        }
        assert!(path.is_file(), "cargo built no {}", path.display());
        path
    })
}

fn build() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = cargo();
    cargo.args(["build", "--package", "naq-cli", "--bin", "naq"]).current_dir(root);
    // By name, because tests may run under another target folder than cargo's own choice.
    cargo.arg("--target-dir").arg(target_folder());
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
