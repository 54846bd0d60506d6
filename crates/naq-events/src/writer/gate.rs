//! Whether anything may be sent at the moment.
//!
//! One event that is refused waits for itself. When nothing passes any more,
//! trying each of a hundred thousand waiting events in turn would help nobody:
//! the gate shuts, and after a while lets a single one out to see.

use std::time::Duration;

use super::backoff::Backoff;
use super::verdict::Verdict;

/// So many refusals in a row, with nothing stored between, are the stream's and not the events'.
const IN_A_ROW: u32 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Everything may go; so many were refused since something last passed.
    Open { refused: u32 },
    /// Nothing may go until then; so often in a row nothing passed.
    Shut { until: Duration, times: u32 },
    /// One is on its way; the rest waits for what becomes of it.
    Probing { times: u32 },
}

/// How many may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permit {
    /// Any number.
    All,
    /// One, to see whether it passes.
    One,
    /// None.
    None,
}

/// The gate in front of the stream.
#[derive(Debug)]
pub(super) struct Gate {
    state: State,
    backoff: Backoff,
}

impl Gate {
    pub(super) const fn new(backoff: Backoff) -> Self {
        Self { state: State::Open { refused: 0 }, backoff }
    }

    /// How many may be sent at this time.
    pub(super) fn permit(&self, now: Duration) -> Permit {
        match self.state {
            State::Open { .. } => Permit::All,
            State::Shut { until, .. } if until <= now => Permit::One,
            State::Shut { .. } | State::Probing { .. } => Permit::None,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Whether trying again didn't help either.
    pub(super) const fn is_stuck(&self) -> bool {
        match self.state {
            State::Open { .. } => false,
            State::Shut { times, .. } | State::Probing { times } => times >= 2,
        }
    }

    /// When one may be sent, where the gate is shut.
    pub(super) const fn opens_at(&self) -> Option<Duration> {
        match self.state {
            State::Shut { until, .. } => Some(until),
            State::Open { .. } | State::Probing { .. } => None,
        }
    }

    /// Something was sent.
    pub(super) fn sent(&mut self) {
        if let State::Shut { times, .. } = self.state {
            self.state = State::Probing { times };
        }
    }

    /// The server took something, or refused it for a reason of its own.
    /// Says whether that opened the gate.
    pub(super) fn passed(&mut self) -> bool {
        let was_shut = !self.is_open();
        self.state = State::Open { refused: 0 };
        was_shut
    }

    /// Something did not pass, but might later.
    pub(super) fn blocked(&mut self, verdict: Verdict, now: Duration, jitter: f64) {
        match self.state {
            State::Open { refused } if !verdict.breaks_the_session() && refused + 1 < IN_A_ROW => {
                self.state = State::Open { refused: refused + 1 };
            }
            _ => self.shut(verdict, now, jitter),
        }
    }

    /// Something did not pass, and nothing may pass before it.
    pub(super) fn shut(&mut self, verdict: Verdict, now: Duration, jitter: f64) {
        let times = match self.state {
            State::Open { .. } => 1,
            State::Probing { times } => times.saturating_add(1),
            // Not even a connection to send a probe on.
            State::Shut { until, times } if until <= now => times.saturating_add(1),
            // What was under way when it shut comes back too: nothing new.
            State::Shut { .. } => return,
        };
        let answered = verdict == Verdict::NotNow;
        let until = now.saturating_add(self.backoff.wait(times, answered, jitter));
        self.state = State::Shut { until, times };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn gate() -> Gate {
        Gate::new(Backoff::new(100 * MS, 1_000 * MS))
    }

    #[test]
    fn a_single_refusal_leaves_it_open_and_three_in_a_row_shut_it() {
        let mut gate = gate();
        for _ in 0..5 {
            gate.blocked(Verdict::NotNow, Duration::ZERO, 1.0);
            gate.blocked(Verdict::NotNow, Duration::ZERO, 1.0);
            assert!(!gate.passed());
        }
        for _ in 0..3 {
            assert_eq!(gate.permit(Duration::ZERO), Permit::All);
            gate.blocked(Verdict::NotNow, Duration::ZERO, 1.0);
        }
        assert_eq!((gate.permit(499 * MS), gate.permit(500 * MS)), (Permit::None, Permit::One));
    }

    #[test]
    fn a_lost_connection_shuts_it_at_once_and_one_probe_goes_out_at_a_time() {
        let mut gate = gate();
        gate.blocked(Verdict::Unsent, Duration::ZERO, 1.0);
        gate.blocked(Verdict::Unsent, Duration::ZERO, 1.0);
        assert_eq!(gate.opens_at(), Some(100 * MS));
        gate.sent();
        assert_eq!(gate.permit(200 * MS), Permit::None);
        gate.blocked(Verdict::InDoubt, 200 * MS, 1.0);
        assert_eq!(gate.opens_at(), Some(400 * MS));
        gate.sent();
        assert!(gate.passed());
        assert_eq!(gate.permit(400 * MS), Permit::All);
    }
}
