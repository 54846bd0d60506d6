//! Small bars beside numbers.

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
