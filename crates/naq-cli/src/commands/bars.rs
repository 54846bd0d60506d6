//! Small bars beside numbers.

use console::measure_text_width;

use crate::output::{View, sanitize};

/// How wide a bar is that nobody knows the terminal's width of.
const USUAL: usize = 24;

/// A shorter one tells nothing, and a longer one no more.
const LENGTHS: [usize; 2] = [8, 60];

/// What stands between two columns.
const BETWEEN: usize = 2;

/// Eighths of a cell, from one to seven.
const PARTS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// A bar of `value` where `most` fills `width` cells; what is above zero is never invisible.
pub(crate) fn bar(value: f64, most: f64, width: usize) -> String {
    if !(value > 0.0 && most > 0.0) {
        return String::new();
    }
    let eighths = (value / most).min(1.0) * width as f64 * 8.0;
    let eighths = (eighths.round() as usize).max(1);
    let mut text = "█".repeat(eighths / 8);
    if let Some(part) = (eighths % 8).checked_sub(1) {
        text.push(PARTS[part]);
    }
    text
}

/// How wide bars may be beside these rows, so that no row is broken; 0 where
/// there is no room for any.
pub(crate) fn room<'a>(view: &View, rows: impl Iterator<Item = &'a [String]>) -> usize {
    let Some(width) = view.width else { return USUAL };
    let mut widths = Vec::<usize>::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(measure_text_width(&sanitize(cell)));
        }
    }
    let taken: usize = widths.iter().map(|widest| widest + BETWEEN).sum();
    let [least, most] = LENGTHS;
    Some(usize::from(width).saturating_sub(taken).min(most))
        .filter(|room| *room >= least)
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(10.0, 10.0, 4), "████");
        assert_eq!(bar(5.0, 10.0, 4), "██");
        assert_eq!(bar(1.0, 10.0, 4), "▍");
        assert_eq!(bar(0.000_1, 10.0, 4), "▏");
        assert_eq!(bar(0.0, 10.0, 4), "");
        assert_eq!(bar(1.0, 0.0, 4), "");
    }
}
