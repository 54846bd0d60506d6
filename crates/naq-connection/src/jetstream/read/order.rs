//! One order of what several reads of a stream give: pure, without a server.

use naq_core::jetstream::Delivery;

/// What comes next of each read, messages and gaps alone.
#[derive(Debug, Default)]
pub(super) struct Order {
    next: Vec<Option<Delivery>>,
}

impl Order {
    /// Of so many reads, nothing of which is known yet.
    pub(super) fn of(reads: usize) -> Self {
        Self { next: (0..reads).map(|_| None).collect() }
    }

    /// The place of each read's next one.
    pub(super) fn places(&mut self) -> impl Iterator<Item = &mut Option<Delivery>> {
        self.next.iter_mut()
    }

    /// Which read's next one comes first; `None` where none has one. All that
    /// aren't at their end must have one.
    pub(super) fn first(&self) -> Option<usize> {
        let places = self.next.iter().enumerate();
        let (_, first) = places.filter_map(|(n, next)| Some((place(next)?, n))).min()?;
        Some(first)
    }

    /// Takes the one that comes first, as far as it lies behind `position`.
    ///
    /// Each read tells of a gap as far as it knows it: what another one told
    /// isn't told again, and a message that another one had got stands in its
    /// place between the parts of the gap.
    pub(super) fn take(&mut self, first: usize, position: u64) -> Option<Delivery> {
        let messages = self.next.iter().filter_map(|next| match place(next)? {
            (sequence, false) => Some(sequence),
            _ => None,
        });
        let message = messages.min().unwrap_or(u64::MAX);
        let next = self.next.get_mut(first)?;
        match next.take()? {
            Delivery::Gap { from, to } => {
                let from = from.max(position.saturating_add(1));
                let until = to.min(message.saturating_sub(1));
                if until < to {
                    *next = Some(Delivery::Gap { from: until + 1, to });
                }
                (from <= until).then_some(Delivery::Gap { from, to: until })
            }
            delivery => Some(delivery),
        }
    }
}

/// Where it stands; of two at one place a message goes first.
fn place(next: &Option<Delivery>) -> Option<(u64, bool)> {
    match next.as_ref()? {
        Delivery::Message(message) => Some((message.sequence, false)),
        Delivery::Gap { from, .. } => Some((*from, true)),
        Delivery::CaughtUp { .. } | Delivery::Resumed { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use naq_core::Timestamp;
    use naq_core::jetstream::{Headers, StoredMessage};

    use super::*;

    fn message(sequence: u64) -> Delivery {
        Delivery::Message(StoredMessage {
            subject: "s".to_owned(),
            sequence,
            stored_at: Timestamp::from_nanos(0),
            headers: Headers::new(),
            payload: Vec::new().into(),
        })
    }

    fn gap(from: u64, to: u64) -> Delivery {
        Delivery::Gap { from, to }
    }

    /// All of some reads, in order.
    fn ordered<const N: usize>(reads: [Vec<Delivery>; N]) -> Vec<Delivery> {
        let mut reads = reads.map(Vec::into_iter);
        let (mut order, mut all, mut position) = (Order::of(N), Vec::new(), 0);
        loop {
            for (place, read) in order.places().zip(&mut reads) {
                if place.is_none() {
                    *place = read.next();
                }
            }
            let Some(first) = order.first() else { return all };
            if let Some(delivery) = order.take(first, position) {
                position = match &delivery {
                    Delivery::Message(message) => message.sequence,
                    Delivery::Gap { to, .. } => *to,
                    other => panic!("{other:?}"),
                };
                all.push(delivery);
            }
        }
    }

    #[test]
    fn messages_come_by_their_sequence() {
        let reads = [vec![message(2), message(5)], vec![message(1), message(3)], vec![]];
        assert_eq!(ordered(reads), [1, 2, 3, 5].map(message));
    }

    #[test]
    fn a_gap_of_all_is_told_once() {
        let reads = [vec![gap(1, 4), message(6)], vec![gap(1, 4), message(5)]];
        assert_eq!(ordered(reads), [gap(1, 4), message(5), message(6)]);
    }

    #[test]
    fn a_gap_that_one_saw_grow_is_told_as_far_as_it_is_new() {
        let reads = [vec![gap(1, 4), message(9)], vec![gap(1, 7), message(8)]];
        assert_eq!(ordered(reads), [gap(1, 4), gap(5, 7), message(8), message(9)]);
        let inside = [vec![gap(1, 7), message(8)], vec![gap(3, 5), message(9)]];
        assert_eq!(ordered(inside), [gap(1, 7), message(8), message(9)]);
    }

    #[test]
    fn what_one_had_got_stands_in_the_gap_of_another() {
        let reads = [vec![gap(2, 8), message(9)], vec![message(2), message(5), gap(6, 8)]];
        let expected = [message(2), gap(3, 4), message(5), gap(6, 8), message(9)];
        assert_eq!(ordered(reads), expected);
    }
}
