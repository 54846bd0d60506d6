//! Cargo, called by a test.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Cargo as a shell would call it.
///
/// What cargo told this test of its own package is taken away: build scripts that
/// look at it (ring's) would run again, and all that hangs on them be compiled
/// anew, here and at the next call from a shell.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    for (name, _) in env::vars_os() {
        let of_a_package =
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_NAME", "OUT_DIR"];
        if name.to_str().is_some_and(|name| of_a_package.iter().any(|of| name.starts_with(of))) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The folder of the profile that this test was built by: cargo puts binaries
/// into `target/<profile>/`, and tests into its `deps/`.
///
/// # Panics
/// When the test is nowhere in one.
pub fn profile_folder() -> PathBuf {
    let test = env::current_exe().expect("a test knows where it is");
    test.ancestors().nth(2).expect("tests are in a folder of the target folder").to_owned()
}

/// The target folder that this test was built into.
///
/// # Panics
/// When the test is nowhere in one.
pub fn target_folder() -> PathBuf {
    let profile = profile_folder();
    profile.parent().expect("a profile's folder is in the target folder").to_owned()
}
