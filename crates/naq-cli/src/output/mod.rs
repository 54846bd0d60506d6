//! What is written, and how: tables for people, JSON for programs.
//!
//! - `sanitize`: text of others on its way to a terminal
//! - `paint`: colour
//! - `zone`: times
//! - `human`: numbers
//! - `table`, `json`, `sheet`: the forms of an answer
//! - `list`: an answer that is written while it comes; `screen`: one that is drawn over itself
//! - `event`, `hole`: one event in one line, and what one says that tells of lost events

mod event;
mod hole;
pub(crate) mod human;
pub(crate) mod json;
mod list;
mod paint;
mod sanitize;
mod screen;
mod sheet;
mod table;
mod zone;

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use clap::{ColorChoice, ValueEnum};
use serde::Serialize;

pub(crate) use event::EventLines;
pub(crate) use list::ListWriter;
pub(crate) use paint::Paint;
pub(crate) use sanitize::sanitize;
pub(crate) use screen::Screen;
pub(crate) use sheet::Sheet;
pub(crate) use table::{Grid, Tone};
pub(crate) use zone::Zone;

/// The form of what goes to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON value over several lines; what never ends is a value a line.
    Json,
    /// One JSON value a line.
    Jsonl,
    /// Rows of figures for a spreadsheet.
    Csv,
}

/// How things look where they go.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// How wide a line may be, where that is known.
    pub(crate) width: Option<u16>,
    /// Colour.
    pub(crate) paint: Paint,
    /// The zone of times.
    pub(crate) zone: Zone,
}

/// Standard output, in the wanted form.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
    is_terminal: bool,
    view: View,
    writer: BufWriter<Stdout>,
}

impl Output {
    /// In the wanted form, or a table where a terminal looks and JSON lines elsewhere.
    pub(crate) fn new(format: Option<Format>, color: ColorChoice, zone: Zone) -> Self {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        let usual = if is_terminal { Format::Table } else { Format::Jsonl };
        let paint = Paint::new(paints(color, &stdout));
        let view = View { width: table::terminal_width(), paint, zone };
        let format = format.unwrap_or(usual);
        Self { format, is_terminal, view, writer: BufWriter::new(stdout) }
    }

    /// Whether people look.
    pub(crate) const fn is_table(&self) -> bool {
        matches!(self.format, Format::Table)
    }

    /// Whether rows for a spreadsheet are wanted.
    pub(crate) const fn is_csv(&self) -> bool {
        matches!(self.format, Format::Csv)
    }

    /// Whether a terminal looks.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Whether a terminal looks that lets text be drawn over itself.
    pub(crate) fn can_draw(&self) -> bool {
        self.is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }

    /// Fits what is written from now on to the terminal as it is now; answers
    /// its rows and columns.
    pub(crate) fn fit(&mut self) -> (u16, u16) {
        self.view.width = table::terminal_width();
        let (rows, columns) = console::Term::stdout().size();
        (rows, self.view.width.unwrap_or(columns))
    }

    /// How things look.
    pub(crate) const fn view(&self) -> &View {
        &self.view
    }

    /// Writes one answer: as JSON, or as `table` makes it.
    ///
    /// # Errors
    /// `Unsupported` where rows are wanted, which this answer has none of;
    /// those of writing.
    pub(crate) fn answer<T: Serialize + ?Sized>(
        &mut self,
        answer: &T,
        table: impl FnOnce(&T, &View) -> String,
    ) -> io::Result<()> {
        let text = match self.format {
            Format::Table => table(answer, &self.view),
            Format::Json => json::pretty(&answer)? + "\n",
            Format::Jsonl => json::line(&answer)? + "\n",
            Format::Csv => return Err(sheet::no_rows()),
        };
        self.text(&text)
    }

    /// Writes one answer of figures: as [`answer`](Self::answer) does, or the rows of `sheet`.
    pub(crate) fn figures<T: Serialize + ?Sized>(
        &mut self,
        answer: &T,
        table: impl FnOnce(&T, &View) -> String,
        sheet: impl FnOnce(&T) -> Sheet,
    ) -> io::Result<()> {
        match self.format {
            Format::Csv => {
                let text = sheet(answer).text()?;
                self.text(&text)
            }
            _ => self.answer(answer, table),
        }
    }

    /// Writes a list: one JSON array, a JSON value a line, or as `table` makes it.
    pub(crate) fn list<T: Serialize>(
        &mut self,
        items: &[T],
        table: impl FnOnce(&[T], &View) -> String,
    ) -> io::Result<()> {
        if self.format == Format::Jsonl {
            return items.iter().try_for_each(|item| self.json_line(item));
        }
        self.answer(items, table)
    }

    /// Begins a list that is written while it comes.
    pub(crate) fn begin_list(&mut self) -> ListWriter<'_> {
        ListWriter::new(self)
    }

    /// Writes a JSON value on a line of its own.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let text = json::line(value)?;
        writeln!(self.writer, "{text}")
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.writer.write_all(text.as_bytes())
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)
    }

    /// Hands on what was written so far.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Standard error: notes to people beside the data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notes {
    is_terminal: bool,
    paint: Paint,
}

impl Notes {
    /// Notes in colour where that is wanted.
    pub(crate) fn new(color: ColorChoice) -> Self {
        let stderr = io::stderr();
        let paint = Paint::new(paints(color, &stderr));
        // Progress bars are painted by a library of their own.
        console::set_colors_enabled_stderr(paint.is_on());
        Self { is_terminal: stderr.is_terminal(), paint }
    }

    /// Whether a terminal looks.
    pub(crate) const fn is_terminal(self) -> bool {
        self.is_terminal
    }

    /// How wide a line may be, where that is known.
    pub(crate) fn width(self) -> Option<u16> {
        let width = self.is_terminal.then(|| console::Term::stderr().size().1);
        width.filter(|width| table::is_known(*width))
    }

    /// Colour.
    pub(crate) const fn paint(self) -> Paint {
        self.paint
    }

    /// Tells one line.
    pub(crate) fn line(self, text: &str) {
        // Where standard error is closed there is nobody to tell.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// Whether to paint what goes to a stream: as asked, else as `NO_COLOR`,
/// `CLICOLOR_FORCE`, `TERM` and the kind of stream have it.
fn paints(color: ColorChoice, stream: &impl anstream::stream::RawStream) -> bool {
    match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never,
    }
}
