//! Tables, drawn by comfy-table.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use super::{View, sanitize};

/// A table in the making.
#[derive(Debug)]
pub(crate) struct Grid {
    table: Table,
    right: Vec<usize>,
}

/// How a cell looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it is.
    Plain,
    /// What went well.
    Good,
    /// What may go wrong.
    Warn,
    /// What went wrong.
    Bad,
}

impl Grid {
    /// A table with these headings; none for a list of facts.
    pub(crate) fn new(view: &View, headings: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.force_no_tty();
        if view.paint.is_on() {
            table.enforce_styling();
        }
        if let Some(width) = view.width {
            table.set_width(width);
        }
        if !headings.is_empty() {
            table.set_header(
                headings.iter().map(|text| Cell::new(text).add_attribute(Attribute::Bold)),
            );
        }
        Self { table, right: Vec::new() }
    }

    /// Sets a column's numbers flush right.
    pub(crate) fn right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    /// Adds a row of plain cells.
    pub(crate) fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.toned(cells.into_iter().map(|text| (text, Tone::Plain)));
    }

    /// Adds a row of cells with their looks.
    pub(crate) fn toned<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = (S, Tone)>) {
        let right = &self.right;
        self.table.add_row(cells.into_iter().enumerate().map(|(at, (text, tone))| {
            let cell = Cell::new(sanitize(text.as_ref()));
            let cell =
                if right.contains(&at) { cell.set_alignment(CellAlignment::Right) } else { cell };
            match tone {
                Tone::Plain => cell,
                Tone::Good => cell.fg(Color::Green),
                Tone::Warn => cell.fg(Color::Yellow),
                Tone::Bad => cell.fg(Color::Red),
            }
        }));
    }

    /// Whether it has no rows.
    pub(crate) fn is_empty(&self) -> bool {
        self.table.row_count() == 0
    }

    /// The table as text, a line break behind each line.
    pub(crate) fn text(mut self) -> String {
        let columns = self.table.column_count();
        for (at, column) in self.table.column_iter_mut().enumerate() {
            column.set_padding((0, if at + 1 == columns { 0 } else { 2 }));
        }
        let mut text = String::new();
        for line in self.table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// The narrowest terminal that text is fitted to.
const NARROWEST: u16 = 20;

/// The width of the terminal that standard output goes to, if it is one and says so.
pub(crate) fn terminal_width() -> Option<u16> {
    Table::new().width().filter(|width| is_known(*width))
}

/// Whether text can be fitted to a width that a terminal names.
///
/// Some say 0, others are so narrow that a table fitted to them would be letters
/// below each other: they break lines by themselves, and are left to it.
pub(super) const fn is_known(width: u16) -> bool {
    width >= NARROWEST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Paint, Zone};

    #[test]
    fn a_width_that_nobody_knows_is_fitted_to_nothing() {
        assert!(!is_known(0) && !is_known(19) && is_known(20));
        let (paint, zone) = (Paint::plain(), Zone::new(true));
        let mut grid = Grid::new(&View { width: None, paint, zone }, &["Bucket", "Description"]);
        grid.row(["settings", "what the workers read"]);
        assert_eq!(grid.text(), "Bucket    Description\nsettings  what the workers read\n");
    }
}
