//! The fenced code blocks and the links of a Markdown file, as naq's documents
//! use them. Std alone: the build script, which makes the documents' code
//! compile, has this file too.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A fenced code block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line of its opening fence, from 1.
    pub line: usize,
    /// The first word after the fence; empty where there is none.
    pub language: String,
    /// What follows the language, after commas.
    pub attributes: Vec<String>,
    /// What is between the fences, without the fences' own indentation.
    pub code: String,
}

/// The target of a link or image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its line, from 1.
    pub line: usize,
    /// What stands between the parentheses.
    pub target: String,
}

/// The documents of the project that users and contributors read: the Markdown
/// files at its root and all below `docs/`, sorted.
///
/// # Errors
/// When a folder cannot be read.
pub fn documents(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(root, false, &mut found)?;
    collect(&root.join("docs"), true, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, deep: bool, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if deep {
                collect(&path, deep, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    Ok(())
}

/// The code blocks of a document, in order. One that is never closed reaches to
/// the end.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(Block, usize, usize)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        let fence = trimmed.bytes().take_while(|byte| *byte == b'`').count();
        match &mut open {
            None if fence >= 3 => {
                let mut info =
                    trimmed[fence..].trim().split(',').map(|word| word.trim().to_owned());
                let block = Block {
                    line: number,
                    language: info.next().unwrap_or_default(),
                    attributes: info.collect(),
                    code: String::new(),
                };
                open = Some((block, fence, indent));
            }
            None => {}
            Some((_, opening, _)) if fence >= *opening && trimmed[fence..].trim().is_empty() => {
                blocks.extend(open.take().map(|(block, ..)| block));
            }
            Some((block, _, indent)) => {
                let spaces = line.len() - trimmed.len();
                block.code.push_str(&line[spaces.min(*indent)..]);
                block.code.push('\n');
            }
        }
    }
    blocks.extend(open.map(|(block, ..)| block));
    blocks
}

/// The inline links of a document, `[text](target)`, outside of code.
pub fn links(text: &str) -> Vec<Link> {
    let mut links = Vec::new();
    let mut fence = 0;
    for (number, line) in (1..).zip(text.lines()) {
        let ticks = line.trim_start().bytes().take_while(|byte| *byte == b'`').count();
        if ticks >= 3 {
            fence = if fence == 0 {
                ticks
            } else if ticks >= fence {
                0
            } else {
                fence
            };
            continue;
        }
        if fence > 0 {
            continue;
        }
        // Every second piece between backticks is code.
        let prose: String = line.split('`').step_by(2).collect();
        for piece in prose.split("](").skip(1) {
            if let Some((target, _)) = piece.split_once(')') {
                links.push(Link { line: number, target: target.to_owned() });
            }
        }
    }
    links
}

/// The anchors that a document's headings make, as code hosts derive them.
pub fn anchors(text: &str) -> Vec<String> {
    let mut fence = false;
    let mut anchors = Vec::new();
    for line in text.lines() {
        fence ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if fence || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let title = title.trim().to_lowercase();
        anchors.push(title.chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect());
    }
    anchors
}
