//! Progress bars, drawn by indicatif on a terminal and nowhere else.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Notes;

/// How often a bar is drawn.
const HERTZ: u8 = 15;

/// A bar that counts up to `total`; a spinner where that isn't known.
///
/// Nothing is drawn where standard error is no terminal.
pub(crate) fn bar(notes: Notes, total: Option<u64>, template: &str) -> ProgressBar {
    if !notes.is_terminal() {
        return ProgressBar::hidden();
    }
    let target = ProgressDrawTarget::stderr_with_hz(HERTZ);
    let bar = ProgressBar::with_draw_target(total, target);
    // A template that indicatif can't read is a mistake of ours that its default forgives.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::{demo, index, log};

    #[test]
    fn every_template_can_be_read() {
        for template in [log::FILE_TEMPLATE, log::STREAM_TEMPLATE, demo::TEMPLATE, index::TEMPLATE]
        {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
