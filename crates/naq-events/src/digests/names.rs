//! Names of types, queues and kinds of job: as figures list them, and which of
//! them a digest leaves out.

use std::borrow::Cow;

use super::cell::{Cell, Key, Name};
use super::fingerprint::cut;

/// The longest name that is listed whole, in bytes: one that is longer would
/// take the room of many others.
const LONGEST: usize = 256;

/// What stands in the place of the rest of a longer one.
const ELLIPSIS: char = '…';

/// A name as figures list it: one of over 256 bytes is cut there.
pub(crate) fn listed(name: &str) -> Cow<'_, str> {
    match name.len() {
        ..=LONGEST => Cow::Borrowed(name),
        _ => Cow::Owned(format!("{}{ELLIPSIS}", cut(name, LONGEST))),
    }
}

/// Whether a name may be the beginning of another one, of which it has
/// [`BEGINNING`] bytes at least.
pub(super) fn is_cut(name: &str) -> bool {
    name.len() >= LONGEST && name.ends_with(ELLIPSIS)
}

/// How many bytes of a longer name are known: no letter is cut in two.
pub(super) const BEGINNING: usize = LONGEST - 3;

/// Of which names a digest leaves out those that events have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Dropped {
    /// Types.
    pub(crate) event_types: bool,
    /// Queues.
    pub(crate) queues: bool,
    /// Kinds of job.
    pub(crate) job_names: bool,
    /// The ends of long ones.
    pub(crate) ends: bool,
}

impl Dropped {
    /// What cells of such names leave out.
    pub(super) fn of(cells: &[(Key, Cell)], names: &[String]) -> Self {
        let ends = names.iter().any(|name| is_cut(name));
        cells.iter().fold(Self { ends, ..Self::default() }, |all, (key, _)| {
            let is_dropped = |name: Name| name == Name::Dropped;
            all.or(Self {
                event_types: is_dropped(key.event_type),
                queues: is_dropped(key.queue),
                job_names: is_dropped(key.job_name),
                ends,
            })
        })
    }

    /// What either leaves out.
    pub(super) const fn or(self, other: Self) -> Self {
        Self {
            event_types: self.event_types || other.event_types,
            queues: self.queues || other.queues,
            job_names: self.job_names || other.job_names,
            ends: self.ends || other.ends,
        }
    }

    /// Whether any names are left out.
    pub(crate) const fn any(self) -> bool {
        self.event_types || self.queues || self.job_names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_listed_whole_up_to_its_bound() {
        for (length, is_whole) in [(1, true), (LONGEST, true), (LONGEST + 1, false), (9_999, false)]
        {
            for letter in ["n", "é", "€"] {
                let name = letter.repeat(length.div_ceil(letter.len()));
                let is_whole = is_whole && name.len() <= LONGEST;
                let listed = listed(&name);
                assert_eq!(listed == name.as_str(), is_whole, "{letter} {length}");
                assert!(listed.len() <= LONGEST + ELLIPSIS.len_utf8());
                assert!(is_whole || is_cut(&listed), "{letter} {length}");
            }
        }
        assert!(!is_cut(&"n".repeat(LONGEST)) && !is_cut("n…"));
    }
}
