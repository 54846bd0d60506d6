//! Text that is drawn over itself on a terminal.

/// Remembers what was drawn last.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// How wide each line was.
    drawn: Vec<usize>,
}

impl Screen {
    /// What draws this text where the last one stands: moves up to its first
    /// line, and replaces each.
    ///
    /// It is cut to a terminal of so many rows and columns, of which the last
    /// row is the cursor's: what has scrolled away can't be drawn over.
    pub(crate) fn draw(&mut self, text: &str, (rows, columns): (u16, u16)) -> String {
        let (rows, columns) = (usize::from(rows.max(3)), usize::from(columns.max(1)));
        // A terminal that was made narrower has broken what was wider.
        let up: usize = self.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum();
        let mut drawing = String::new();
        if up > 0 {
            drawing.push_str(&format!("\r\u{1b}[{up}A"));
        }
        self.drawn.clear();
        for line in cut(text, rows - 1) {
            let line = console::truncate_str(&line, columns, "…").into_owned();
            self.drawn.push(console::measure_text_width(&line));
            drawing.push_str("\u{1b}[2K");
            drawing.push_str(&line);
            drawing.push('\n');
        }
        drawing.push_str("\u{1b}[J");
        drawing
    }
}

/// The lines, at most so many, the last one saying how many there would be.
fn cut(text: &str, most: usize) -> Vec<String> {
    let count = text.lines().count();
    if count <= most {
        return text.lines().map(str::to_owned).collect();
    }
    let shown = most - 1;
    let more = format!("… {} lines more, for a taller terminal", count - shown);
    text.lines().take(shown).map(str::to_owned).chain([more]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_drawn_over_the_last_one() {
        let mut screen = Screen::default();
        assert_eq!(screen.draw("a\nb\n", (24, 80)), "\u{1b}[2Ka\n\u{1b}[2Kb\n\u{1b}[J");
        assert_eq!(screen.draw("c\n", (24, 80)), "\r\u{1b}[2A\u{1b}[2Kc\n\u{1b}[J");
        assert_eq!(screen.draw("d\n", (24, 80)), "\r\u{1b}[1A\u{1b}[2Kd\n\u{1b}[J");
    }

    #[test]
    fn it_is_cut_to_the_terminal_and_never_scrolls() {
        let text: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let mut screen = Screen::default();
        let drawing = screen.draw(&text, (10, 6));
        assert_eq!(drawing.matches('\n').count(), 9);
        assert!(drawing.contains("line 7\n") && !drawing.contains("line 8\n"), "{drawing:?}");
        assert!(drawing.contains("… 92 …\n"), "{drawing:?}");
    }

    #[test]
    fn what_a_narrower_terminal_has_broken_is_drawn_over_too() {
        let mut screen = Screen::default();
        screen.draw(&format!("{}\nb\n", "a".repeat(50)), (24, 80));
        assert!(screen.draw("c\n", (24, 20)).starts_with("\r\u{1b}[4A"));
    }
}
