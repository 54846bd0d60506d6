//! A crate of one's own, outside of this workspace, that depends on naq by path:
//! what README and "Getting started" show is all that it takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use naq_tests::markdown::Block;
use naq_tests::server::NatsServer;
use naq_tests::{cargo, command, markdown};

use crate::{DEADLINE, alone, root};

/// The dependencies may have to be compiled with other features than here.
const BUILD_DEADLINE: Duration = Duration::from_secs(15 * 60);
#[tokio::test]
async fn a_crate_outside_of_the_workspace_builds_and_runs_what_the_documents_show() {
    let readme = format!(
        "#[tokio::main]\nasync fn main() -> Result<(), Box<dyn std::error::Error>> {{\n{}Ok(())\n}}\n",
        block("README.md", "rust")
    );
    let outside = Outside {
        name: "outside",
        dependencies: block("docs/getting-started.md", "toml"),
        programs: vec![
            ("outside_readme", readme),
            ("outside_getting_started", block("docs/getting-started.md", "rust")),
        ],
    };
    outside.runs_on(&["memory://", &NatsServer::start().await.url()]);
}

#[tokio::test]
async fn buckets_need_no_more_than_their_own_crates() {
    let outside = Outside {
        name: "outside-kv",
        dependencies: "\
            [dependencies]\n\
            naq-connection = { path = \"../naq/crates/naq-connection\" }\n\
            naq-core = { path = \"../naq/crates/naq-core\" }\n\
            naq-kv = { path = \"../naq/crates/naq-kv\" }\n\
            tokio = { version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }\n"
            .to_owned(),
        programs: vec![("outside_kv", include_str!("kv_alone.rs").to_owned())],
    };
    outside.runs_on(&[&NatsServer::start().await.url()]);
}

/// A crate of one's own.
struct Outside {
    name: &'static str,
    /// As a document shows them, with naq's crates beside this one.
    dependencies: String,
    /// Its programs, named so that they meet nobody in the target folder.
    programs: Vec<(&'static str, String)>,
}

impl Outside {
    fn runs_on(&self, urls: &[&str]) {
        let binaries = self.build();
        for (program, _) in &self.programs {
            for url in urls {
                let folder = tempfile::tempdir().unwrap();
                let mut run = alone(binaries.join(program), folder.path(), url);
                let done = command::run(&mut run, DEADLINE);
                assert_eq!(
                    done.code,
                    Some(0),
                    "{program} on {url}:\n{}{}",
                    done.stdout,
                    done.stderr
                );
            }
        }
    }

    /// Builds it without a network, and tells where its programs are.
    fn build(&self) -> PathBuf {
        let target = cargo::target_folder();
        let mut cargo = cargo::cargo();
        cargo
            .args(["build", "--offline", "--bins", "--target-dir"])
            .arg(&target)
            .current_dir(self.write());
        let built = command::run(&mut cargo, BUILD_DEADLINE);
        assert_eq!(built.code, Some(0), "{} doesn't build:\n{}", self.name, built.stderr);
        target.join("debug")
    }

    /// Writes the crate, always to one place: what is compiled already stays so.
    fn write(&self) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.name);
        let sources = folder.join("src/bin");
        fs::create_dir_all(&sources).unwrap();
        let naq = format!("path = \"{}/crates/", root().display());
        let dependencies = self.dependencies.replace("path = \"../naq/crates/", &naq);
        assert!(dependencies.contains(&naq), "{dependencies}");
        // The profiles of this workspace, which is to share what is compiled; and a lock
        // with its versions, which are here already.
        let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let profiles = workspace.find("[profile.").map_or("", |at| &workspace[at..]);
        let manifest = format!(
            "[package]\nname = \"{}\"\nedition = \"2024\"\n\n[workspace]\n\n{dependencies}\n{profiles}",
            self.name
        );
        put(&folder.join("Cargo.toml"), &manifest);
        for (program, source) in &self.programs {
            put(&sources.join(format!("{program}.rs")), source);
        }
        fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        folder
    }
}

/// The first block of a language.
fn block(document: &str, language: &str) -> String {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let mut blocks: Vec<Block> = markdown::blocks(&text);
    blocks.retain(|block| block.language == language);
    assert!(!blocks.is_empty(), "{document} has no {language}");
    blocks.remove(0).code
}

/// Leaves a file that is as wanted alone, or cargo would build it anew.
fn put(path: &Path, text: &str) {
    if fs::read_to_string(path).ok().as_deref() != Some(text) {
        fs::write(path, text).unwrap();
    }
}
