//! An index of sequences by subject: a tree of tokens.
//!
//! A literal subject costs its tokens; a filter costs the subjects below its
//! literal prefix that a wildcard opens, not the stream's messages.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

/// The sequences of each subject, ascending.
#[derive(Debug, Default)]
pub(crate) struct SubjectIndex {
    root: Node,
    subjects: u64,
}

#[derive(Debug, Default)]
struct Node {
    children: BTreeMap<Box<str>, Node>,
    /// Of the subject that ends here; removed from the front mostly, by limits.
    sequences: VecDeque<u64>,
}

impl SubjectIndex {
    /// Adds a sequence that is higher than all others of the subject.
    pub(crate) fn push(&mut self, subject: &str, sequence: u64) {
        let mut node = &mut self.root;
        for token in subject.split('.') {
            if !node.children.contains_key(token) {
                node.children.insert(token.into(), Node::default());
            }
            node = node.children.get_mut(token).expect("inserted just above where it was missing");
        }
        self.subjects += u64::from(node.sequences.is_empty());
        node.sequences.push_back(sequence);
    }

    /// Takes a sequence out, and the subject with its last one.
    pub(crate) fn remove(&mut self, subject: &str, sequence: u64) {
        if self.root.remove(subject, sequence) {
            self.subjects -= 1;
        }
    }

    /// How many subjects have a sequence.
    pub(crate) fn len(&self) -> u64 {
        self.subjects
    }

    /// The sequences of one literal subject.
    pub(crate) fn get(&self, subject: &str) -> Option<&VecDeque<u64>> {
        let mut node = &self.root;
        for token in subject.split('.') {
            node = node.children.get(token)?;
        }
        (!node.sequences.is_empty()).then_some(&node.sequences)
    }

    /// Visits the subjects that match a filter, in the order of their tokens.
    pub(crate) fn visit<'a, B>(
        &'a self,
        filter: &str,
        mut see: impl FnMut(&str, &'a VecDeque<u64>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut subject = String::new();
        self.root
            .visit(Some(filter), &mut subject, &mut |subject, sequences| see(subject, sequences))
    }

    /// The highest sequence on the subjects that match a filter.
    pub(crate) fn last(&self, filter: &str) -> Option<u64> {
        if is_literal(filter) {
            return self.get(filter)?.back().copied();
        }
        let mut last = None;
        let _: ControlFlow<()> = self.visit(filter, |_, sequences| {
            last = last.max(sequences.back().copied());
            ControlFlow::Continue(())
        });
        last
    }
}

/// Whether a filter has no wildcard.
pub(crate) fn is_literal(filter: &str) -> bool {
    !filter.split('.').any(|token| token == "*" || token == ">")
}

/// The lowest of ascending sequences that is `from` or more.
pub(crate) fn first_from(sequences: &VecDeque<u64>, from: u64) -> Option<u64> {
    sequences.get(sequences.partition_point(|sequence| *sequence < from)).copied()
}

impl Node {
    /// Answers whether the subject lost its last sequence.
    fn remove(&mut self, rest: &str, sequence: u64) -> bool {
        let (token, rest) = match rest.split_once('.') {
            Some((token, rest)) => (token, Some(rest)),
            None => (rest, None),
        };
        let Some(child) = self.children.get_mut(token) else { return false };
        let emptied = match rest {
            Some(rest) => child.remove(rest, sequence),
            None => {
                if let Ok(at) = child.sequences.binary_search(&sequence) {
                    child.sequences.remove(at);
                    child.sequences.is_empty()
                } else {
                    false
                }
            }
        };
        if emptied && child.children.is_empty() && child.sequences.is_empty() {
            self.children.remove(token);
        }
        emptied
    }

    /// `filter` is what is left of it; `None` when it is used up.
    fn visit<'a, B>(
        &'a self,
        filter: Option<&str>,
        subject: &mut String,
        see: &mut dyn FnMut(&str, &'a VecDeque<u64>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let Some(filter) = filter else {
            return if self.sequences.is_empty() {
                ControlFlow::Continue(())
            } else {
                see(subject, &self.sequences)
            };
        };
        let (token, rest) = match filter.split_once('.') {
            Some((token, rest)) => (token, Some(rest)),
            None => (filter, None),
        };
        match token {
            ">" => self.visit_below(subject, see),
            "*" => {
                for (token, child) in &self.children {
                    let length = push_token(subject, token);
                    child.visit(rest, subject, see)?;
                    subject.truncate(length);
                }
                ControlFlow::Continue(())
            }
            token => {
                let Some(child) = self.children.get(token) else {
                    return ControlFlow::Continue(());
                };
                let length = push_token(subject, token);
                child.visit(rest, subject, see)?;
                subject.truncate(length);
                ControlFlow::Continue(())
            }
        }
    }

    fn visit_below<'a, B>(
        &'a self,
        subject: &mut String,
        see: &mut dyn FnMut(&str, &'a VecDeque<u64>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for (token, child) in &self.children {
            let length = push_token(subject, token);
            if !child.sequences.is_empty() {
                see(subject, &child.sequences)?;
            }
            child.visit_below(subject, see)?;
            subject.truncate(length);
        }
        ControlFlow::Continue(())
    }
}

/// Adds a token and returns the length before.
fn push_token(subject: &mut String, token: &str) -> usize {
    let length = subject.len();
    if length > 0 {
        subject.push('.');
    }
    subject.push_str(token);
    length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use naq_core::jetstream::subject_matches;

    use super::*;

    fn matches(index: &SubjectIndex, filter: &str) -> Vec<String> {
        let mut found = Vec::new();
        let _: ControlFlow<()> = index.visit(filter, |subject, _| {
            found.push(subject.to_owned());
            ControlFlow::Continue(())
        });
        found
    }

    #[test]
    fn a_subject_goes_with_its_last_sequence() {
        let mut index = SubjectIndex::default();
        index.push("a", 1);
        index.push("a.b", 2);
        index.push("a.b", 3);
        assert_eq!(index.len(), 2);
        index.remove("a", 1);
        assert_eq!((index.len(), matches(&index, ">")), (1, vec!["a.b".to_owned()]));
        index.remove("a.b", 3);
        assert_eq!(index.last("a.b"), Some(2));
        index.remove("a.b", 2);
        index.remove("a.b", 2);
        assert_eq!(index.len(), 0);
        assert!(index.root.children.is_empty());
    }

    proptest! {
        #[test]
        fn a_filter_finds_what_it_matches(
            subjects in proptest::collection::btree_set("[abc](\\.[abc]){0,3}", 0..20),
            filter in "([abc*]\\.){0,3}([abc*]|>)",
        ) {
            let mut index = SubjectIndex::default();
            for (at, subject) in subjects.iter().enumerate() {
                index.push(subject, at as u64 + 1);
            }
            let mut want: Vec<_> =
                subjects.iter().filter(|subject| subject_matches(&filter, subject)).cloned().collect();
            let mut found = matches(&index, &filter);
            want.sort();
            found.sort();
            prop_assert_eq!(&found, &want);
            let last = subjects
                .iter()
                .enumerate()
                .filter(|(_, subject)| subject_matches(&filter, subject))
                .map(|(at, _)| at as u64 + 1)
                .max();
            prop_assert_eq!(index.last(&filter), last);
        }
    }
}
