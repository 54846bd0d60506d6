//! Dependencies point one way (ARCHITECTURE.md shows the picture).

use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use super::{none, root};

/// For each crate the crates of this workspace that it may name. Where the list
/// isn't empty, a crate need not use all of it.
const EDGES: &[(&str, &[&str])] = &[
    ("naq-core", &[]),
    ("naq-connection", &["naq-core"]),
    ("naq-memory", &["naq-core"]),
    ("naq-streams", &["naq-core"]),
    ("naq-kv", &["naq-core"]),
    ("naq-events", &["naq-core"]),
    ("naq-services", &["naq-core", "naq-connection", "naq-memory", "naq-streams", "naq-kv"]),
    ("naq", LIBRARIES),
    ("naq-cli", EVERYTHING),
    ("naq-bench", BENCH),
    ("naq-tests", EVERYTHING),
];

const LIBRARIES: &[&str] = &[
    "naq-core",
    "naq-connection",
    "naq-memory",
    "naq-streams",
    "naq-kv",
    "naq-events",
    "naq-services",
];

const EVERYTHING: &[&str] = &[
    "naq-core",
    "naq-connection",
    "naq-memory",
    "naq-streams",
    "naq-kv",
    "naq-events",
    "naq-services",
    "naq",
];

/// Benchmarks start servers as the tests do.
const BENCH: &[&str] = &[
    "naq-core",
    "naq-connection",
    "naq-memory",
    "naq-streams",
    "naq-kv",
    "naq-events",
    "naq-services",
    "naq-tests",
];

/// Who may know the NATS client.
const CLIENT: &str = "async-nats";
const KNOW_THE_CLIENT: &[&str] = &["naq-connection", "naq-bench", "naq-tests"];

/// What `cargo metadata` says about the workspace's members.
pub(super) static PACKAGES: LazyLock<Vec<Package>> = LazyLock::new(|| {
    let told = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let metadata: Value = serde_json::from_slice(&told.stdout).unwrap();
    metadata["packages"].as_array().unwrap().iter().cloned().map(Package).collect()
});

/// A member of the workspace.
#[derive(Debug)]
pub(super) struct Package(pub(super) Value);

/// One dependency of a member.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dependency<'a>(pub(super) &'a Value);

impl Package {
    pub(super) fn name(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }

    pub(super) fn dependencies(&self) -> impl Iterator<Item = Dependency<'_>> {
        self.0["dependencies"].as_array().unwrap().iter().map(Dependency)
    }

    pub(super) fn is_published(&self) -> bool {
        self.0["publish"].is_null()
    }
}

impl<'a> Dependency<'a> {
    pub(super) fn name(self) -> &'a str {
        self.0["name"].as_str().unwrap()
    }

    /// `normal`, `dev` or `build`.
    fn kind(self) -> &'a str {
        self.0["kind"].as_str().unwrap_or("normal")
    }

    fn is_member(self) -> bool {
        PACKAGES.iter().any(|package| package.name() == self.name())
    }
}

#[test]
fn every_crate_has_its_place_among_the_layers() {
    let mut members: Vec<_> = PACKAGES.iter().map(Package::name).collect();
    let mut placed: Vec<_> = EDGES.iter().map(|(name, _)| *name).collect();
    members.sort_unstable();
    placed.sort_unstable();
    assert_eq!(members, placed);
}

#[test]
fn crates_depend_on_lower_layers_alone() {
    let mut faults = Vec::new();
    for package in PACKAGES.iter() {
        let allowed = EDGES.iter().find(|(name, _)| *name == package.name()).unwrap().1;
        for edge in package.dependencies().filter(|edge| edge.is_member()) {
            if edge.kind() != "dev" && !allowed.contains(&edge.name()) {
                faults.push(format!("{} may not depend on {}", package.name(), edge.name()));
            }
        }
    }
    none(&faults);
}

#[test]
fn dev_edges_among_members_are_by_path_alone_or_nothing_could_be_published() {
    let mut faults = Vec::new();
    for package in PACKAGES.iter().filter(|package| package.is_published()) {
        for edge in package.dependencies().filter(|edge| edge.is_member()) {
            if edge.kind() == "dev" && edge.0["req"] != "*" {
                faults.push(format!(
                    "{}: write {} = {{ path = \"…\" }} under dev-dependencies, with no version \
                     and not inherited",
                    package.name(),
                    edge.name()
                ));
            }
        }
    }
    none(&faults);
}

#[test]
fn only_the_connection_knows_the_nats_client() {
    let mut faults = Vec::new();
    for package in PACKAGES.iter().filter(|package| !KNOW_THE_CLIENT.contains(&package.name())) {
        if package.dependencies().any(|dependency| dependency.name() == CLIENT) {
            faults.push(format!("{} may not know {CLIENT}", package.name()));
        }
    }
    none(&faults);
}

#[test]
fn the_service_manager_has_concrete_services_by_its_standard_feature_alone() {
    let services = PACKAGES.iter().find(|package| package.name() == "naq-services").unwrap();
    let mut faults = Vec::new();
    for edge in services.dependencies().filter(|edge| edge.is_member() && edge.kind() == "normal") {
        if edge.name() != "naq-core" && edge.0["optional"] != true {
            faults.push(format!("naq-services must have {} optional", edge.name()));
        }
    }
    none(&faults);
}

#[test]
fn the_core_has_the_timer_and_the_channels_of_tokio_and_no_more() {
    let core = PACKAGES.iter().find(|package| package.name() == "naq-core").unwrap();
    let tokio = core.dependencies().find(|edge| edge.name() == "tokio" && edge.kind() == "normal");
    let tokio = tokio.unwrap().0;
    assert_eq!(tokio["uses_default_features"], false);
    let features = tokio["features"].as_array().unwrap();
    assert!(features.iter().all(|name| name == "sync" || name == "time"), "{features:?}");
}
