//! Median and spread of a few measurements.

use serde::Serialize;

/// Where measurements lie.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    /// The middle one.
    pub(crate) median: f64,
    /// The least.
    pub(crate) min: f64,
    /// The greatest.
    pub(crate) max: f64,
}

impl Spread {
    /// Of measurements, of which there is at least one.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let upper = values.len() / 2;
        let median = match values.len() % 2 {
            1 => values[upper],
            _ => f64::midpoint(values[upper - 1], values[upper]),
        };
        Some(Self { median, min, max })
    }
}

/// How much the one is of the other: the median over the rounds of the ratio in
/// each. A machine that others share is fast in one round and slow in the next,
/// and so for both.
pub(crate) fn ratio(of: &[f64], to: &[f64]) -> Option<f64> {
    let ratios = of.iter().zip(to).map(|(of, to)| of / to).collect();
    Spread::of(ratios).map(|ratios| ratios.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_that_of_the_middle_round() {
        assert_eq!(ratio(&[1.0, 30.0, 3.0], &[1.0, 10.0, 2.0]), Some(1.5));
        assert_eq!(ratio(&[], &[]), None);
    }

    #[test]
    fn the_median_lies_in_the_middle() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0, 10.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max), (2.5, 1.0, 10.0));
        assert_eq!(Spread::of(vec![4.0]).unwrap().median, 4.0);
        assert!(Spread::of(Vec::new()).is_none());
    }
}
