//! A list that is written while it comes.

use std::io;

use serde::Serialize;

use super::{Format, Output, json, sheet};

/// A list item by item, in the form that [`Output::list`] gives one that is whole.
#[derive(Debug)]
pub(crate) struct ListWriter<'a> {
    output: &'a mut Output,
    items: u64,
}

impl<'a> ListWriter<'a> {
    /// An empty list.
    pub(super) const fn new(output: &'a mut Output) -> Self {
        Self { output, items: 0 }
    }

    /// Writes the next item: as JSON, or as `table` makes it.
    pub(crate) fn item<T: Serialize>(
        &mut self,
        item: &T,
        table: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        self.items += 1;
        match self.output.format {
            Format::Table => self.output.text(&table(item)),
            Format::Jsonl => self.output.json_line(item),
            Format::Json => {
                let lead = if self.items == 1 { "[" } else { "," };
                // In JSON a raw line break stands between tokens.
                let text = json::pretty(item)?.replace('\n', "\n  ");
                self.output.text(&format!("{lead}\n  {text}"))
            }
            Format::Csv => Err(sheet::no_rows()),
        }
    }

    /// Whether no item was written yet.
    pub(crate) const fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Hands on what was written so far.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    /// Ends the list.
    pub(crate) fn end(self) -> io::Result<()> {
        match (self.output.format, self.items) {
            (Format::Table | Format::Jsonl | Format::Csv, _) => Ok(()),
            (Format::Json, 0) => self.output.text("[]\n"),
            (Format::Json, _) => self.output.text("\n]\n"),
        }
    }
}
