//! What many single calls took.

/// Sorted measurements of single calls.
pub(crate) struct Samples(Vec<u64>);

impl Samples {
    /// Of measurements in any order.
    pub(crate) fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        Self(values)
    }

    /// The value that this share (0 to 1) of the measurements doesn't exceed; 0 of none.
    pub(crate) fn at(&self, share: f64) -> u64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((share * last as f64).round() as usize).copied().unwrap_or(0)
    }

    /// The middle one.
    pub(crate) fn median(&self) -> u64 {
        self.at(0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_counted_from_the_least() {
        let samples = Samples::of((1..=101).rev().collect());
        assert_eq!((samples.median(), samples.at(0.99), samples.at(1.0)), (51, 100, 101));
        assert_eq!(Samples::of(Vec::new()).median(), 0);
    }
}
