//! What an index is asked to keep: its name and its fields.

use std::collections::BTreeSet;

use naq_core::events::IndexField;
use naq_core::{Error, ErrorKind, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::names::check_name;

/// How many fields an index may have.
pub(crate) const MAX_FIELDS: usize = 8;

/// How many indexes a log may have.
const MAX_INDEXES: usize = 16;

/// What the checksum of a list begins with, and how many bytes both are.
const CHECKSUM_MARK: &[u8] = b"\ncrc32c ";
const CHECKSUM: usize = CHECKSUM_MARK.len() + 8;

/// So many bytes of a list that was damaged are shown.
const MOST_SHOWN: usize = 1_000;

/// An index of a log: which events have which values of some fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EventIndex {
    /// Its name.
    pub name: String,
    /// Its fields, as they were given.
    pub fields: Vec<String>,
    /// When it was created, or rebuilt last, by the clock of who did.
    pub created_at: Timestamp,
}

/// An index as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    pub(crate) index: EventIndex,
    /// What its objects are found by: another one after each rebuilding, so
    /// that nobody takes what was made for another one as its own.
    pub(crate) id: Uuid,
    pub(crate) fields: Vec<IndexField>,
}

/// A definition in the bucket.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    index: EventIndex,
    id: String,
}

impl Definition {
    /// A definition, if such an index can be.
    pub(crate) fn new(
        operation: &'static str,
        name: &str,
        fields: &[&str],
        created_at: Timestamp,
    ) -> Result<Self> {
        check_name(operation, "name", "index", name)?;
        if fields.is_empty() || fields.len() > MAX_FIELDS {
            let rule = "must be 1 to 8 names of fields";
            return Err(Error::invalid(operation, "fields", rule)
                .with("index", name)
                .with("given", fields.len().to_string()));
        }
        if fields.iter().collect::<BTreeSet<_>>().len() < fields.len() {
            return Err(Error::invalid(operation, "fields", "must name each field once")
                .with("index", name)
                .with("given", fields.join(", ")));
        }
        let names = fields.iter().map(|field| (*field).to_owned()).collect();
        let created_at = kept(created_at);
        let index = EventIndex { name: name.to_owned(), fields: names, created_at };
        Self::of(index, Uuid::now_v7()).map_err(|error| error.in_operation(operation))
    }

    fn of(index: EventIndex, id: Uuid) -> Result<Self> {
        let fields = index.fields.iter().map(|field| IndexField::new(field)).collect::<Result<_>>();
        Ok(Self { fields: fields?, index, id })
    }

    /// The same index, with nothing kept of it yet.
    pub(crate) fn anew(&self, created_at: Timestamp) -> Self {
        let index = EventIndex { created_at: kept(created_at), ..self.index.clone() };
        Self { index, id: Uuid::now_v7(), fields: self.fields.clone() }
    }

    /// Whether the other one has the same fields, in whatever order.
    pub(crate) fn has_fields_of(&self, other: &Self) -> bool {
        let set = |it: &Self| it.index.fields.iter().cloned().collect::<BTreeSet<_>>();
        set(self) == set(other)
    }
}

/// A time as text keeps it.
fn kept(time: Timestamp) -> Timestamp {
    let nanos = time.as_nanos();
    Timestamp::from_nanos(nanos - nanos.rem_euclid(1_000))
}

/// Adds a definition; where one is there that means the same, it stands.
pub(crate) fn add(
    operation: &'static str,
    definitions: &mut Vec<Definition>,
    new: &Definition,
) -> Result<()> {
    let name = &new.index.name;
    if let Some(old) = definitions.iter().find(|old| old.index.name == *name) {
        if old.has_fields_of(new) {
            return Ok(());
        }
        let text = "there is an index of that name, of other fields";
        return Err(Error::new(ErrorKind::AlreadyExists, operation, text)
            .with("index", name.as_str())
            .with("fields", old.index.fields.join(", "))
            .with("asked", new.index.fields.join(", "))
            .with_hint("drop it first, or take another name"));
    }
    if definitions.len() >= MAX_INDEXES {
        let text = "a log has at most 16 indexes";
        return Err(Error::new(ErrorKind::LimitReached, operation, text)
            .with("index", name.as_str())
            .with_hint("drop one first"));
    }
    definitions.push(new.clone());
    Ok(())
}

/// The definition of that name.
pub(crate) fn find<'a>(
    operation: &'static str,
    definitions: &'a mut [Definition],
    name: &str,
) -> Result<&'a mut Definition> {
    definitions.iter_mut().find(|it| it.index.name == name).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, operation, "there is no index of that name")
            .with("index", name)
            .with_hint("list them, or create one")
    })
}

/// Writes definitions as they are kept: as JSON, and in a line below it its checksum.
pub(crate) fn to_bytes(definitions: &[Definition]) -> Result<Vec<u8>> {
    let stored =
        |it: &Definition| Stored { index: it.index.clone(), id: it.id.simple().to_string() };
    let stored: Vec<_> = definitions.iter().map(stored).collect();
    let mut bytes = serde_json::to_vec(&stored).map_err(|error| {
        Error::new(ErrorKind::Unexpected, "write_indexes", "can't be written").with_source(error)
    })?;
    bytes.extend(checksum(&bytes));
    Ok(bytes)
}

/// What follows the JSON of a list.
fn checksum(json: &[u8]) -> Vec<u8> {
    [CHECKSUM_MARK, format!("{:08x}", crc32c::crc32c(json)).as_bytes()].concat()
}

/// Reads them back; older versions wrote no checksum.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Vec<Definition>> {
    let json = match bytes.split_last_chunk::<CHECKSUM>() {
        Some((json, end)) if end.starts_with(CHECKSUM_MARK) => {
            if checksum(json) != end {
                return Err(damaged(bytes, "the checksum doesn't fit"));
            }
            json
        }
        _ => bytes,
    };
    let stored: Vec<Stored> =
        serde_json::from_slice(json).map_err(|error| damaged(bytes, &error.to_string()))?;
    stored
        .into_iter()
        .map(|it| {
            let id = Uuid::parse_str(&it.id).map_err(|error| damaged(bytes, &error.to_string()))?;
            Definition::of(it.index, id).map_err(|error| damaged(bytes, &error.to_string()))
        })
        .collect()
}

/// What is known of a list that can't be read: what it looks like tells a
/// person which indexes there were.
fn damaged(bytes: &[u8], reason: &str) -> Error {
    let shown = bytes.get(..MOST_SHOWN).unwrap_or(bytes);
    Error::new(ErrorKind::Corrupt, "read_indexes", "the list of indexes was damaged")
        .with("reason", reason)
        .with("list", String::from_utf8_lossy(shown))
        .with_hint("drop all indexes, and create them again: nothing of the log is lost by that")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn define(name: &str, fields: &[&str]) -> Result<Definition> {
        Definition::new("create_event_index", name, fields, Timestamp::from_nanos(0))
    }

    #[test]
    fn what_can_be_no_index_is_refused_by_the_rule() {
        let nine: Vec<String> = (0..9).map(|n| format!("f{n}")).collect();
        let nine: Vec<&str> = nine.iter().map(String::as_str).collect();
        let long = "x".repeat(257);
        for (name, fields, field) in [
            ("a b", &["queue"][..], "name"),
            ("", &["queue"], "name"),
            ("a", &[], "fields"),
            ("a", &nine, "fields"),
            ("a", &["queue", "queue"], "fields"),
            ("a", &[""], "fields"),
            ("a", &[&long], "fields"),
        ] {
            let error = define(name, fields).unwrap_err();
            assert!(error.is(ErrorKind::InvalidArgument), "{error}");
            assert_eq!(error.get("field"), Some(field), "{name} {fields:?}");
        }
    }

    #[test]
    fn a_name_that_is_taken_by_other_fields_is_refused_with_both() {
        let mut all = Vec::new();
        let first = define("a", &["queue", "worker_id"]).unwrap();
        add("x", &mut all, &first).unwrap();
        add("x", &mut all, &define("a", &["worker_id", "queue"]).unwrap()).unwrap();
        assert_eq!(all, [first], "the same again changes nothing");
        let error = add("x", &mut all, &define("a", &["queue"]).unwrap()).unwrap_err();
        assert!(error.is(ErrorKind::AlreadyExists));
        assert_eq!(
            (error.get("fields"), error.get("asked")),
            (Some("queue, worker_id"), Some("queue"))
        );
        for n in 1..16 {
            add("x", &mut all, &define(&format!("a{n}"), &["queue"]).unwrap()).unwrap();
        }
        let error = add("x", &mut all, &define("b", &["queue"]).unwrap()).unwrap_err();
        assert!(error.is(ErrorKind::LimitReached));
    }

    #[test]
    fn a_list_is_read_back_and_one_with_any_bit_changed_is_not() {
        let all = vec![define("a", &["queue"]).unwrap(), define("b", &["n", "o.a"]).unwrap()];
        let bytes = to_bytes(&all).unwrap();
        assert_eq!(from_bytes(&bytes).unwrap(), all);
        for bit in 0..8 * bytes.len() {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let error = from_bytes(&damaged).unwrap_err();
            assert!(error.is(ErrorKind::Corrupt), "{bit}: {error}");
            assert!(error.hint().is_some_and(|hint| hint.contains("drop all")), "{bit}: {error}");
        }
        let error = from_bytes(b"[{}]").unwrap_err();
        assert_eq!((error.kind(), error.get("list")), (ErrorKind::Corrupt, Some("[{}]")));
    }

    #[test]
    fn a_list_without_a_checksum_is_read_as_older_versions_wrote_it() {
        let list = br#"[{"name":"a","fields":["queue"],"created_at":"2026-11-24T12:00:00Z",
                         "id":"019ab4a2f0ad7d139d9b8c2f0d5e6f70"}]"#;
        let read = from_bytes(list).unwrap();
        assert_eq!((read[0].index.name.as_str(), read[0].fields.len()), ("a", 1));
    }
}
