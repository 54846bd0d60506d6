//! Text of others on its way to a terminal.

use std::borrow::Cow;

/// The text without anything a terminal obeys: escape sequences go, line
/// breaks and tabs become spaces, every other control character and what
/// turns the direction of writing goes.
///
/// Whatever an event says stays on its line and can't move the cursor, change
/// colours, or pretend to be another line.
pub(crate) fn sanitize(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for piece in anstream::adapter::strip_str(text) {
        for c in piece.chars() {
            match c {
                '\n' | '\r' | '\t' => clean.push(' '),
                c if is_harmful(c) => {}
                c => clean.push(c),
            }
        }
    }
    Cow::Owned(clean)
}

/// Whether a terminal may do something else with it than show it: control
/// characters (C0, DEL, C1), and the marks that reorder what stands around them.
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_left_alone() {
        assert!(matches!(sanitize("Grüße, 世界 🎉"), Cow::Borrowed(_)));
    }

    #[test]
    fn escape_sequences_go_as_a_whole() {
        assert_eq!(sanitize("a\x1b[31mred\x1b[0m b"), "ared b");
        assert_eq!(sanitize("\x1b]0;title\x07text"), "text");
        assert_eq!(sanitize("\x1b[2J\x1b[H"), "");
    }

    #[test]
    fn lines_stay_one_line_and_other_controls_go() {
        assert_eq!(sanitize("one\r\ntwo\tthree\x07\x08\x7f"), "one  two three");
        assert_eq!(sanitize("a\u{9b}31mb\u{202e}c\u{2066}"), "a31mbc");
    }
}
