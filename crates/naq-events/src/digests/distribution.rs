//! How seconds are distributed: exact count, sum and ends, and percentiles within 1 %.
//!
//! A sketch in the manner of DDSketch (Masson, Rim, Lee: "DDSketch: a fast and
//! fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019)
//! that keeps only the bins which are not empty: a cell of a digest holds some
//! ten values, and a dense sketch's thousands of bins would outweigh them.
//!
//! Everything is a whole number of nanoseconds or a count, so that adding and
//! merging in any order comes to the same, bit by bit.

/// Each bin is wider than the one before by this factor: the middle of a bin
/// is then within 0.99 % of all that is in it, which leaves room for rounding.
const GROWTH: f64 = 1.0099 / 0.9901;

const NANOS: f64 = 1e9;

/// A set of durations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Distribution {
    count: u64,
    sum: u128,
    min: u128,
    max: u128,
    /// Bins that are not empty with their counts, by bin. Bin 0 is of zeros.
    bins: Vec<(u16, u64)>,
}

impl Distribution {
    /// Puts it together again from its parts, `None` where they contradict one another.
    pub(crate) fn from_parts(
        sum: u128,
        (min, max): (u128, u128),
        bins: Vec<(u16, u64)>,
    ) -> Option<Self> {
        let is_sorted = bins.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let count = bins.iter().try_fold(0_u64, |sum, (_, count)| sum.checked_add(*count))?;
        let (first, last) = (bins.first()?, bins.last()?);
        let has_ends = bin(min) == first.0 && bin(max) == last.0;
        let is_whole = is_sorted && has_ends && bins.iter().all(|(_, count)| *count > 0);
        (is_whole && min <= max && sum >= max).then_some(Self { count, sum, min, max, bins })
    }

    /// Adds a value: finite seconds from 0 on, kept to the nanosecond.
    pub(crate) fn observe(&mut self, seconds: f64) {
        self.add(nanos(seconds));
    }

    /// Adds a value in nanoseconds.
    pub(crate) fn add(&mut self, nanos: u128) {
        self.min = if self.count == 0 { nanos } else { self.min.min(nanos) };
        self.max = self.max.max(nanos);
        self.count += 1;
        self.sum = self.sum.saturating_add(nanos);
        self.add_to_bin(bin(nanos), 1);
    }

    /// Adds all of another one.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        if let [(bin, count)] = other.bins[..] {
            return self.add_to_bin(bin, count);
        }
        let mine = std::mem::take(&mut self.bins);
        self.bins.reserve(mine.len().max(other.bins.len()));
        let mut theirs = other.bins.iter().copied().peekable();
        for (bin, count) in mine {
            self.bins.extend(std::iter::from_fn(|| theirs.next_if(|(their, _)| *their < bin)));
            let more = theirs.next_if(|(their, _)| *their == bin).map_or(0, |(_, more)| more);
            self.bins.push((bin, count + more));
        }
        self.bins.extend(theirs);
    }

    fn add_to_bin(&mut self, bin: u16, count: u64) {
        match self.bins.binary_search_by_key(&bin, |(bin, _)| *bin) {
            Ok(at) => self.bins[at].1 += count,
            Err(at) => self.bins.insert(at, (bin, count)),
        }
    }

    /// Whether it is of no value.
    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Their sum, in nanoseconds.
    pub(crate) const fn sum_nanos(&self) -> u128 {
        self.sum
    }

    /// The least and the greatest, in nanoseconds.
    pub(crate) const fn ends_nanos(&self) -> (u128, u128) {
        (self.min, self.max)
    }

    /// The bins that are not empty.
    pub(crate) fn bins(&self) -> &[(u16, u64)] {
        &self.bins
    }

    /// The mean, in seconds; `None` of no value.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64 / NANOS)
    }

    /// The least, in seconds.
    pub(crate) fn min(&self) -> Option<f64> {
        (self.count > 0).then(|| self.min as f64 / NANOS)
    }

    /// The greatest, in seconds.
    pub(crate) fn max(&self) -> Option<f64> {
        (self.count > 0).then(|| self.max as f64 / NANOS)
    }

    /// The least value that this share of them did not exceed (the nearest
    /// rank), within 1 %, and never outside what was seen.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let rank = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut behind = 0;
        let (bin, _) = self.bins.iter().find(|(_, count)| {
            behind += count;
            behind >= rank
        })?;
        Some(middle(*bin).clamp(self.min as f64, self.max as f64) / NANOS)
    }
}

/// Finite seconds from 0 on as nanoseconds, the nearest ones.
pub(crate) fn nanos(seconds: f64) -> u128 {
    // As a cast saturates, 10^29 seconds are the most.
    (seconds * NANOS).round() as u128
}

/// The bin of a number of nanoseconds.
fn bin(nanos: u128) -> u16 {
    if nanos == 0 {
        return 0;
    }
    // 128 bits of nanoseconds are some 4,500 bins.
    1 + ((nanos as f64).ln() / GROWTH.ln()).ceil() as u16
}

/// The value that stands for a bin, in nanoseconds.
fn middle(bin: u16) -> f64 {
    match bin.checked_sub(1) {
        None => 0.0,
        Some(power) => 2.0 * GROWTH.powi(i32::from(power)) / (GROWTH + 1.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(seconds: &[f64]) -> Distribution {
        let mut all = Distribution::default();
        seconds.iter().for_each(|seconds| all.observe(*seconds));
        all
    }

    #[test]
    fn nothing_has_no_figures() {
        let none = Distribution::default();
        assert_eq!(
            (none.mean(), none.min(), none.max(), none.quantile(0.5)),
            (None, None, None, None)
        );
    }

    #[test]
    fn one_value_is_told_as_it_is() {
        for seconds in [0.0, 1e-9, 0.1, 0.25, 1.0 / 3.0, 86_400.5, 1e12] {
            let one = of(&[seconds]);
            let close =
                |value: Option<f64>| (value.unwrap() - seconds).abs() <= 1e-9 * seconds.max(0.5);
            assert!(
                close(one.mean()) && close(one.min()) && close(one.max()),
                "{seconds}: {one:?}"
            );
            assert!(close(one.quantile(0.5)) && close(one.quantile(0.999)), "{seconds}: {one:?}");
        }
        assert_eq!(of(&[0.1]).mean(), Some(0.1));
    }

    #[test]
    fn the_longest_durations_are_the_last_bin_and_not_an_overflow() {
        let all = of(&[f64::MAX, f64::MAX, 1.0]);
        assert_eq!((all.count, all.sum_nanos()), (3, u128::MAX));
        assert!(all.quantile(1.0).unwrap() > 1e28);
    }

    #[test]
    fn parts_that_contradict_one_another_are_refused() {
        let all = of(&[1.0, 2.0, 2.0]);
        let parts = || (all.sum_nanos(), all.ends_nanos(), all.bins().to_vec());
        let (sum, ends, bins) = parts();
        assert_eq!(Distribution::from_parts(sum, ends, bins.clone()), Some(all.clone()));
        assert_eq!(Distribution::from_parts(0, ends, bins.clone()), None);
        assert_eq!(Distribution::from_parts(sum, (ends.1, ends.0), bins.clone()), None);
        assert_eq!(Distribution::from_parts(sum, ends, Vec::new()), None);
        let reversed = bins.iter().rev().copied().collect();
        assert_eq!(Distribution::from_parts(sum, ends, reversed), None);
    }

    proptest! {
        #[test]
        fn percentiles_keep_their_error(mut seconds in prop::collection::vec(1e-6_f64..1e6, 1..400)) {
            let all = of(&seconds);
            seconds.sort_by(f64::total_cmp);
            for share in [0.5, 0.9, 0.95, 0.99, 0.999] {
                let rank = (share * seconds.len() as f64).ceil() as usize;
                let (exact, got) = (seconds[rank - 1], all.quantile(share).unwrap());
                prop_assert!((got - exact).abs() <= exact * 0.01, "{share}: {got}, {exact}");
            }
        }

        #[test]
        fn any_order_of_adding_and_merging_comes_to_the_same(
            seconds in prop::collection::vec(0_f64..1e4, 0..60),
            cut in 0_usize..60,
        ) {
            let whole = of(&seconds);
            let (left, right) = seconds.split_at(cut.min(seconds.len()));
            let (left, right) = (of(left), of(right));
            for (mut one, other) in [(left.clone(), &right), (right.clone(), &left)] {
                one.merge(other);
                prop_assert_eq!(&one, &whole);
            }
        }
    }
}
