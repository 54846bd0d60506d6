//! The binary runs. What the commands do is tested with real servers in `tests/`.

use std::process::Command;

#[test]
fn the_binary_tells_its_version() {
    let told = Command::new(env!("CARGO_BIN_EXE_naq")).arg("--version").output().unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    assert_eq!(text, format!("naq {}\n", env!("CARGO_PKG_VERSION")));
    assert!(told.status.success());
}
