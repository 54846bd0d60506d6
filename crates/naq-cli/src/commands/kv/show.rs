//! How entries look.

use std::borrow::Cow;

use naq_core::Timestamp;
use naq_core::kv::{KvEntry, KvOperation};
use serde::Serialize;

use crate::output::{Grid, Paint, View, human, sanitize};

/// One revision of a key as JSON: a value that is text stands in `value`, any
/// other one in `value_base64`; the other of the two is null.
#[derive(Debug, Serialize)]
pub(super) struct EntryShape {
    key: String,
    revision: u64,
    operation: &'static str,
    created: Timestamp,
    value: Option<String>,
    value_base64: Option<String>,
    #[serde(skip)]
    size: u64,
}

impl EntryShape {
    /// The shape of an entry.
    pub(super) fn of(entry: &KvEntry) -> Self {
        let (value, value_base64) = match (entry.operation, std::str::from_utf8(&entry.value)) {
            (KvOperation::Put, Ok(text)) => (Some(text.to_owned()), None),
            (KvOperation::Put, Err(_)) => (None, Some(data_encoding::BASE64.encode(&entry.value))),
            _ => (None, None),
        };
        Self {
            key: entry.key.clone(),
            revision: entry.revision,
            operation: entry.operation.as_str(),
            created: entry.created,
            value,
            value_base64,
            size: entry.value.len() as u64,
        }
    }

    /// The value in a line.
    fn shown(&self) -> Cow<'_, str> {
        match (&self.value, &self.value_base64) {
            (Some(text), _) => sanitize(text),
            (None, Some(_)) => Cow::Owned(format!("({} of no text)", human::size(self.size))),
            (None, None) => Cow::Borrowed(""),
        }
    }
}

/// A value for a terminal: text without anything that a terminal obeys, and a
/// line break behind it; of any other value what it is.
pub(super) fn value(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.lines().map(|line| format!("{}\n", sanitize(line))).collect(),
        Err(_) => format!(
            "({} of no text: send them to a file, or see --output json)\n",
            human::size(bytes.len() as u64)
        ),
    }
}

/// A row for each revision.
pub(super) fn history(entries: &[EntryShape], view: &View) -> String {
    let mut grid = Grid::new(view, &["Revision", "Time", "Change", "Value"]).right(&[0]);
    for entry in entries {
        let (revision, time) = (entry.revision.to_string(), view.zone.full(entry.created));
        grid.row([&revision, &time, entry.operation, &entry.shown()]);
    }
    grid.text()
}

/// A line for a change.
pub(super) fn line(entry: &EntryShape, view: &View) -> String {
    let paint = view.paint;
    let time = paint.dim(view.zone.full(entry.created));
    let (key, change) = (paint.name(sanitize(&entry.key)), change(entry, paint));
    let text = format!("{time}  {:>6}  {change}  {key}  {}", entry.revision, entry.shown());
    format!("{}\n", text.trim_end())
}

fn change(entry: &EntryShape, paint: Paint) -> String {
    let word = format!("{:6}", entry.operation);
    if entry.operation == "put" { word } else { paint.warn(word) }
}
