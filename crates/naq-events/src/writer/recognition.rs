//! For how long an event that may be stored is recognised by its message id.

use std::time::Duration;

/// What a clock here and one in the server may differ by within a window, and
/// what an event may wait between the writer and the server.
const MARGIN: Duration = Duration::from_secs(10);

/// For so long after an event was sent it is surely recognised by its id, by a
/// stream of this duplicate window.
///
/// Ten seconds, or a tenth of a window below 100 s, are kept as a margin: for
/// clocks that differ, and for what an event may wait on its way. The service
/// relies on ids no longer than that, so an event is stored once for certain
/// where this is no shorter than `delivery_timeout`.
///
/// ```
/// use std::time::Duration;
///
/// let window = Duration::from_secs(120);
/// assert_eq!(naq_events::recognised_for(window), Duration::from_secs(110));
/// ```
#[must_use]
pub fn recognised_for(window: Duration) -> Duration {
    window.saturating_sub(MARGIN.min(window / 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_kept_and_a_short_window_is_not_eaten_up_by_it() {
        let seconds = Duration::from_secs;
        assert_eq!(recognised_for(seconds(120)), seconds(110));
        assert_eq!(recognised_for(seconds(10)), seconds(9));
        assert_eq!(recognised_for(Duration::ZERO), Duration::ZERO);
    }
}
