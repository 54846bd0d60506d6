//! One codec for everything that naq derives from ids: tokens of subjects and keys of buckets.
//!
//! A job id may hold any text; a subject token may not. `[A-Za-z0-9_-]` stand
//! as they are, every other byte, and `=`, is written `=XX` with upper-case
//! hexadecimal digits. So a token never holds `.`, `*`, `>`, a space or a
//! control byte, is legal in a key of a bucket too, and two ids never share
//! one token: `decode(encode(x)) == x`, and no other token decodes to `x`.

use std::borrow::Cow;

use crate::{Error, Result};

/// The longest event type, in bytes before encoding.
pub const MAX_TYPE_BYTES: usize = 64;

/// The longest id of a job, worker, schedule or event, in bytes before encoding.
pub const MAX_ID_BYTES: usize = 256;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Which bytes stand as they are.
static STANDS: [bool; 256] = {
    let mut stands = [false; 256];
    let mut byte = 0;
    while byte < stands.len() {
        stands[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'_' | b'-');
        byte += 1;
    }
    stands
};

fn stands(byte: u8) -> bool {
    STANDS[usize::from(byte)]
}

/// Encodes `raw` as one token; borrowed where nothing has to be escaped.
///
/// An empty text gives an empty token, which is no legal token: check the
/// text first with [`check_id`] or [`check_type`].
///
/// ```
/// use naq_core::token;
///
/// assert_eq!(token::encode("job-1"), "job-1");
/// assert_eq!(token::encode("a.b"), "a=2Eb");
/// assert_eq!(token::decode("a=2Eb")?, "a.b");
/// # Ok::<(), naq_core::Error>(())
/// ```
#[must_use]
pub fn encode(raw: &str) -> Cow<'_, str> {
    if raw.bytes().all(stands) {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len() + 8);
    encode_into(raw, &mut out);
    Cow::Owned(out)
}

/// Appends the token of `raw` to `out`.
pub fn encode_into(raw: &str, out: &mut String) {
    // Nearly every id stands: found out without a branch for each byte.
    if raw.bytes().fold(true, |all, byte| all & stands(byte)) {
        return out.push_str(raw);
    }
    let mut rest = raw;
    while let Some(at) = rest.bytes().position(|byte| !stands(byte)) {
        out.push_str(&rest[..at]);
        // The byte at `at` isn't ASCII alphanumeric, but what precedes it is
        // ASCII, so `at` lies on a boundary; escape the whole character.
        let width = rest[at..].chars().next().map_or(1, char::len_utf8);
        for byte in rest[at..at + width].bytes() {
            out.push('=');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
        rest = &rest[at + width..];
    }
    out.push_str(rest);
}

/// Decodes a token; borrowed where nothing is escaped.
///
/// # Errors
/// `InvalidArgument` for what [`encode`] never writes: an empty token, a byte
/// that should have been escaped or needn't have been, a broken escape,
/// lower-case digits, or bytes that are no UTF-8.
pub fn decode(token: &str) -> Result<Cow<'_, str>> {
    let refused =
        |rule: &'static str| Error::invalid("decode_token", "token", rule).with("value", token);
    if token.is_empty() {
        return Err(refused("must not be empty"));
    }
    if token.bytes().all(stands) {
        return Ok(Cow::Borrowed(token));
    }
    let mut out = Vec::with_capacity(token.len());
    let mut bytes = token.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'=' {
            if !stands(byte) {
                return Err(refused("holds a byte that a token must escape"));
            }
            out.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next().and_then(digit), bytes.next().and_then(digit))
        else {
            return Err(refused("holds a '=' without two upper-case hexadecimal digits"));
        };
        let escaped = high << 4 | low;
        if stands(escaped) {
            return Err(refused("escapes a byte that stands unescaped"));
        }
        out.push(escaped);
    }
    match String::from_utf8(out) {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(_) => Err(refused("is not UTF-8 when decoded")),
    }
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Checks an event type: 1 to [`MAX_TYPE_BYTES`] bytes of any text.
///
/// # Errors
/// `InvalidArgument` that names the field `type` and the rule.
pub fn check_type(raw: &str) -> Result<()> {
    check("type", raw, MAX_TYPE_BYTES, "must be 1 to 64 bytes long")
}

/// Checks an id: 1 to [`MAX_ID_BYTES`] bytes of any text; `field` is what it is called.
///
/// # Errors
/// `InvalidArgument` that names the field and the rule.
pub fn check_id(field: &'static str, raw: &str) -> Result<()> {
    check(field, raw, MAX_ID_BYTES, "must be 1 to 256 bytes long")
}

fn check(field: &'static str, raw: &str, max: usize, rule: &'static str) -> Result<()> {
    if raw.is_empty() {
        return Err(Error::invalid("check_token", field, "must not be empty"));
    }
    if raw.len() > max {
        return Err(Error::invalid("check_token", field, rule)
            .with("length", format!("{} bytes", raw.len()))
            .with_hint("shorten it, and put what doesn't fit into a custom field"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ErrorKind;

    #[test]
    fn plain_ids_stand_without_a_copy() {
        assert!(matches!(encode("Job_7-a"), Cow::Borrowed("Job_7-a")));
        assert!(matches!(decode("Job_7-a"), Ok(Cow::Borrowed("Job_7-a"))));
    }

    #[test]
    fn dangerous_ids_become_one_harmless_token() {
        for (raw, token) in [
            (".", "=2E"),
            ("a.b", "a=2Eb"),
            ("a..b", "a=2E=2Eb"),
            ("*", "=2A"),
            (">", "=3E"),
            (" ", "=20"),
            ("=", "=3D"),
            ("\0", "=00"),
            ("x\r\nPUB x 1", "x=0D=0APUB=20x=201"),
            ("$JS.API.x", "=24JS=2EAPI=2Ex"),
            ("é", "=C3=A9"),
            ("\u{1f600}", "=F0=9F=98=80"),
        ] {
            assert_eq!(encode(raw), token);
            assert_eq!(decode(token).unwrap(), raw);
        }
    }

    #[test]
    fn only_what_encode_writes_is_decoded() {
        for token in ["", "a.b", "=2", "=", "=2e", "=41", "a b", "=C3", "é", "=ZZ"] {
            let error = decode(token).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{token}");
            assert_eq!(error.get("field"), Some("token"), "{token}");
        }
    }

    #[test]
    fn limits_are_counted_in_raw_bytes() {
        assert!(check_type(&"t".repeat(64)).is_ok());
        assert!(check_type(&"t".repeat(65)).is_err());
        assert!(check_id("job_id", &"é".repeat(128)).is_ok());
        let error = check_id("job_id", &"é".repeat(129)).unwrap_err();
        assert_eq!(error.get("field"), Some("job_id"));
        assert_eq!(error.get("length"), Some("258 bytes"));
        assert_eq!(check_type("").unwrap_err().message(), "must not be empty");
    }

    proptest! {
        #[test]
        fn decoding_gives_back_what_was_encoded(raw in "\\PC{1,40}|[\\x00-\\x7f]{1,40}") {
            let token = encode(&raw).into_owned();
            prop_assert!(token.bytes().all(|b| stands(b) || b == b'='));
            prop_assert_eq!(decode(&token).unwrap(), raw);
        }

        #[test]
        fn no_two_tokens_decode_to_one_text(token in "[A-F0-9=a-c.]{1,12}") {
            if let Ok(raw) = decode(&token) {
                prop_assert_eq!(encode(&raw), token.as_str());
            }
        }
    }
}
