//! How often a scenario is played, and from which seed.

use std::env;
use std::time::Duration;

/// One playing of a scenario: its instants and sizes come from its seed alone.
#[derive(Debug, Clone)]
pub struct Round {
    /// Whether it lasts as long as in the wild (`NAQ_FAULT_LENGTH=full`), and
    /// not as long as everyday's tests allow.
    pub is_full: bool,
    /// What everything random comes from.
    pub seed: u64,
    /// The source of it.
    pub random: fastrand::Rng,
}

impl Round {
    /// The round that this seed makes.
    pub fn new(seed: u64) -> Self {
        Self { is_full: is_full(), seed, random: fastrand::Rng::with_seed(seed) }
    }

    /// The first in everyday's tests, the second at full length.
    pub fn choose<T>(&self, short: T, full: T) -> T {
        if self.is_full { full } else { short }
    }

    /// Lets the first time pass, or at full length the second.
    pub async fn rest(&self, short: Duration, full: Duration) {
        tokio::time::sleep(self.choose(short, full)).await;
    }

    /// A random time up to `at_most`.
    pub fn instant(&mut self, at_most: Duration) -> Duration {
        at_most.mul_f64(self.random.f64())
    }

    /// Lets a random time up to `at_most` pass: the instant at which the fault comes.
    pub async fn sometime(&mut self, at_most: Duration) {
        tokio::time::sleep(self.instant(at_most)).await;
    }
}

/// Plays a scenario `NAQ_FAULT_ROUNDS` times (1 if unset), the first round from
/// the seed `NAQ_FAULT_SEED` (a new one if unset), the others from the numbers
/// behind it. Prints each seed before its round.
///
/// # Panics
/// When a round fails, and when a variable is no number.
#[allow(clippy::print_stderr, reason = "a seed is for people")]
pub async fn rounds(name: &str, mut scenario: impl AsyncFnMut(Round)) {
    let seed = variable("NAQ_FAULT_SEED").unwrap_or_else(|| fastrand::u64(0..1_000_000_000));
    for round in 0..variable("NAQ_FAULT_ROUNDS").unwrap_or(1) {
        let seed = seed.wrapping_add(round);
        eprintln!("{name}: NAQ_FAULT_SEED={seed}");
        scenario(Round::new(seed)).await;
    }
}

/// Whether scenarios are played at full length.
pub(super) fn is_full() -> bool {
    env::var("NAQ_FAULT_LENGTH").is_ok_and(|length| length == "full")
}

fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}
