//! Makes Rust of the Rust in README and docs, so that it is compiled and run.
//!
//! The blocks of one document are one program, in order: each may use what those
//! before it made. A block with a `main` is a program of its own, one with tests
//! becomes a module of the test binary `docs`, and one that is `no_run` is
//! compiled alone.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;

#[path = "src/markdown.rs"]
#[allow(dead_code, unreachable_pub, reason = "the library uses all of it")]
mod markdown;

use markdown::Block;

fn main() {
    // Asked when it runs: a target folder may be shared with a copy of the workspace.
    let member = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let root = Path::new(&member).parent().expect("tests/ is in the workspace");
    // Cargo looks at folders as a whole: a new document counts.
    println!("cargo::rerun-if-changed={}", root.join("docs").display());
    let mut made = Made::default();
    for path in markdown::documents(root).expect("the documents can be listed") {
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(&path).expect("documents are readable text");
        let name = path.strip_prefix(root).expect("documents are in the workspace");
        made.document(name.to_str().expect("documents have UTF-8 names"), &text);
    }
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("documents.rs"), made.text())
        .expect("cargo's folder takes files");
}

#[derive(Default)]
struct Made {
    /// Name of a program, and the expression that runs it.
    programs: Vec<(String, String)>,
    /// Modules with tests, and the items of the programs.
    items: String,
}

impl Made {
    fn document(&mut self, name: &str, text: &str) {
        let mut fragments = Vec::new();
        for block in markdown::blocks(text) {
            if block.language != "rust" {
                continue;
            }
            let (ident, place) = (format!("{}_{}", ident(name), block.line), place(name, &block));
            let code = &block.code;
            if code.contains("#[test]") || code.contains("#[tokio::test") {
                put(&mut self.items, format_args!("{place}\nmod {ident} {{\n{code}\n}}\n"));
            } else if code.contains("fn main(") {
                let run = "pub(super) fn run() -> super::Outcome { super::Ended::ended(main()) }";
                put(&mut self.items, format_args!("{place}\nmod {ident} {{\n{run}\n{code}\n}}\n"));
                if !block.attributes.iter().any(|word| word == "no_run") {
                    self.programs
                        .push((format!("{name}:{}", block.line), format!("{ident}::run()")));
                }
            } else if block.attributes.iter().any(|word| word == "no_run") {
                self.function(&ident, &format!("{place}\n{code}"));
            } else {
                fragments.push(format!("{place}\n{code}"));
            }
        }
        if !fragments.is_empty() {
            let body = fragments.join("\n;{\n") + "\n;" + &"}\n".repeat(fragments.len() - 1);
            self.function(&ident(name), &body);
            self.programs.push((name.to_owned(), format!("finish({}())", ident(name))));
        }
    }

    fn function(&mut self, ident: &str, body: &str) {
        put(
            &mut self.items,
            format_args!("async fn {ident}() -> Outcome {{\n{body}\n; Ok(()) }}\n"),
        );
    }

    fn text(&self) -> String {
        let mut text = self.items.clone();
        let names: Vec<_> = self.programs.iter().map(|(name, _)| name).collect();
        put(&mut text, format_args!("pub(super) const PROGRAMS: &[&str] = &{names:?};\n"));
        text.push_str("pub(super) fn run(program: &str) -> Outcome {\nmatch program {\n");
        for (name, call) in &self.programs {
            put(&mut text, format_args!("{name:?} => {call},\n"));
        }
        text.push_str(
            "_ => Err(format!(\"no document has the program {program}\").into()),\n}\n}\n",
        );
        text
    }
}

/// A comment that leads from an error of the compiler to the document.
fn place(name: &str, block: &Block) -> String {
    format!("// {name}:{}", block.line)
}

fn ident(name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    name.chars().map(word).collect()
}

fn put(text: &mut String, content: std::fmt::Arguments<'_>) {
    text.write_fmt(content).expect("a String takes everything");
}
