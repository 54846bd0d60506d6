//! Rows of figures as CSV, written by the crate `csv`: RFC 4180, lines that end with `\n`.

use std::io;

use super::sanitize;

/// A sheet in the making: headings, and rows of as many cells.
#[derive(Debug)]
pub(crate) struct Sheet {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Sheet {
    /// A sheet with these headings.
    pub(crate) fn new<S: Into<String>>(headings: impl IntoIterator<Item = S>) -> Self {
        Self { headings: headings.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row; what there is none of is an empty cell.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Option<String>>) {
        self.rows.push(cells.into_iter().map(Option::unwrap_or_default).collect());
    }

    /// The sheet as text, the headings first.
    ///
    /// # Errors
    /// Where a row has more or fewer cells than there are headings.
    pub(crate) fn text(self) -> io::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.headings)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(|cell| as_text(&sanitize(cell))))?;
        }
        let bytes = writer.into_inner().map_err(|error| error.into_error())?;
        String::from_utf8(bytes).map_err(io::Error::other)
    }
}

/// The cell so that a spreadsheet takes it for no formula: what a text of
/// others begins with may make it one, and a formula reads other cells and
/// calls other programs. A number stays as it is.
fn as_text(cell: &str) -> String {
    const BEGINS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    let is_number = || cell.parse::<f64>().is_ok_and(f64::is_finite);
    if cell.starts_with(BEGINS) && !is_number() { format!("'{cell}") } else { cell.to_owned() }
}

/// The error of an answer that isn't made of rows.
pub(super) fn no_rows() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this answer has no rows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cell_has_in_it_stays_one_cell_of_one_line() {
        let mut sheet = Sheet::new(["error", "count"]);
        sheet.row([Some("can't open \"a, b\"\n\u{1b}[31mtwice".to_owned()), Some("2".to_owned())]);
        sheet.row([None, Some("1".to_owned())]);
        let text = sheet.text().unwrap();
        assert_eq!(text, "error,count\n\"can't open \"\"a, b\"\" twice\",2\n,1\n");
    }

    #[test]
    fn a_cell_is_no_formula() {
        for (cell, expected) in [
            ("=HYPERLINK(A1)", "'=HYPERLINK(A1)"),
            ("\u{1b}[31m@SUM(A1)", "'@SUM(A1)"),
            ("+1-1", "'+1-1"),
            ("-cmd", "'-cmd"),
            ("＝A1", "'＝A1"),
            ("-inf", "'-inf"),
            ("-1.5e3", "-1.5e3"),
            ("a=b", "a=b"),
        ] {
            let mut sheet = Sheet::new(["cell"]);
            sheet.row([Some(cell.to_owned())]);
            assert_eq!(sheet.text().unwrap(), format!("cell\n{expected}\n"));
        }
    }

    #[test]
    fn a_row_of_another_length_is_an_error() {
        let mut sheet = Sheet::new(["a", "b"]);
        sheet.row([None]);
        assert!(sheet.text().is_err());
    }
}
