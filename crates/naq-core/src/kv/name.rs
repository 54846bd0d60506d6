//! What a bucket and a key may be called.

use crate::jetstream::MAX_SUBJECT_BYTES;
use crate::{Error, Result};

/// The longest bucket name in bytes, so that its stream's name stays below 255.
pub const MAX_BUCKET_BYTES: usize = 200;

/// The longest key in bytes: its subject, `$KV.<bucket>.<key>`, stays below what naq sends.
pub const MAX_KEY_BYTES: usize = MAX_SUBJECT_BYTES - MAX_BUCKET_BYTES - "$KV..".len();

/// Checks the name of a bucket: `[a-zA-Z0-9_-]+`, at most [`MAX_BUCKET_BYTES`].
///
/// # Errors
/// `InvalidArgument` that names the rule.
pub fn check_bucket(operation: &'static str, bucket: &str) -> Result<()> {
    let rule = if bucket.is_empty() {
        "must not be empty"
    } else if bucket.len() > MAX_BUCKET_BYTES {
        "must have at most 200 bytes"
    } else if !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
        "must be made of a-z, A-Z, 0-9, _ and - alone"
    } else {
        return Ok(());
    };
    Err(Error::invalid(operation, "bucket", rule).with("value", bucket))
}

/// Checks a key: `[-/_=.a-zA-Z0-9]+` without an empty part between dots, as
/// NATS's own key-value stores have it, at most [`MAX_KEY_BYTES`].
///
/// Keys that begin with `_kv` are NATS's own and refused.
///
/// # Errors
/// `InvalidArgument` that names the rule.
pub fn check_key(operation: &'static str, key: &str) -> Result<()> {
    let rule = if key.is_empty() {
        "must not be empty"
    } else if key.starts_with('.') || key.ends_with('.') {
        "must not begin or end with a dot"
    } else if key.contains("..") {
        "must not have two dots in a row"
    } else if let Some(rule) = broken_rule(key) {
        rule
    } else {
        return Ok(());
    };
    Err(refused(operation, "key", key, rule))
}

/// Checks what keys may begin with: a piece of a key, the empty one included.
///
/// # Errors
/// `InvalidArgument` that names the rule.
pub fn check_prefix(operation: &'static str, prefix: &str) -> Result<()> {
    let rule = if prefix.starts_with('.') {
        "must not begin with a dot"
    } else if prefix.contains("..") {
        "must not have two dots in a row"
    } else if let Some(rule) = broken_rule(prefix) {
        rule
    } else {
        return Ok(());
    };
    Err(refused(operation, "prefix", prefix, rule))
}

/// What holds for each piece of a key.
fn broken_rule(text: &str) -> Option<&'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-/_=.".contains(&byte);
    if text.len() > MAX_KEY_BYTES {
        Some("must have at most 1843 bytes")
    } else if !text.bytes().all(allowed) {
        Some("must be made of a-z, A-Z, 0-9 and - / _ = . alone")
    } else if text.starts_with("_kv") {
        Some("must not begin with _kv, which is NATS's own")
    } else {
        None
    }
}

fn refused(operation: &'static str, field: &'static str, text: &str, rule: &'static str) -> Error {
    Error::invalid(operation, field, rule)
        .with("value", text)
        .with_hint("encode what doesn't fit, for instance with naq_core::token::encode")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_in_the_words_are_those_of_the_code() {
        assert_eq!((MAX_BUCKET_BYTES, MAX_KEY_BYTES), (200, 1843));
        check_bucket("put", &"b".repeat(MAX_BUCKET_BYTES)).unwrap();
        check_key("put", &"k".repeat(MAX_KEY_BYTES)).unwrap();
        assert!(check_bucket("put", &"b".repeat(MAX_BUCKET_BYTES + 1)).is_err());
        assert!(check_key("put", &"k".repeat(MAX_KEY_BYTES + 1)).is_err());
    }

    #[test]
    fn keys_are_those_of_nats() {
        for key in ["a", "jobs.42/state", "A=b_c-d", "0", "a.b.c", "/", "=", "x._kv"] {
            check_key("put", key).unwrap();
        }
        for key in ["", ".", ".a", "a.", "a..b", "a b", "*", ">", "a.*", "ä", "a\r\n", "a\0", "%"]
        {
            let error = check_key("put", key).unwrap_err();
            assert_eq!(error.get("field"), Some("key"), "{key:?}");
        }
        assert!(check_key("put", "_kv.x").is_err());
    }

    #[test]
    fn a_prefix_is_a_piece_of_a_key() {
        for prefix in ["", "a", "a.", "a.b"] {
            check_prefix("keys", prefix).unwrap();
        }
        for prefix in [".", "a..", "*", "a b"] {
            assert!(check_prefix("keys", prefix).is_err(), "{prefix:?}");
        }
    }

    #[test]
    fn buckets_have_no_dots() {
        check_bucket("create_bucket", "event_indexes-2").unwrap();
        for bucket in ["", "a.b", "a b", "a/b", "*", "ü"] {
            assert!(check_bucket("create_bucket", bucket).is_err(), "{bucket:?}");
        }
    }
}
