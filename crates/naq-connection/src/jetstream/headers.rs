//! Headers on their way to the client and back.

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::{HeaderMap, HeaderName, HeaderValue};
use naq_core::jetstream::{Headers, MessageTtl, PublishMessage};
use naq_core::{Error, ErrorKind, Result};

/// The server takes a header block of at most this many bytes.
const MAX_HEADER_BYTES: usize = 65_535;

/// What fields of [`PublishMessage`], or its way of publishing, stand for.
const OF_FIELDS: [&str; 9] = [
    "Nats-Msg-Id",
    "Nats-TTL",
    "Nats-Expected-Stream",
    "Nats-Expected-Last-Sequence",
    "Nats-Expected-Last-Subject-Sequence",
    "Nats-Expected-Last-Msg-Id",
    "Nats-Batch-Id",
    "Nats-Batch-Sequence",
    "Nats-Batch-Commit",
];

/// What the server adds to the answer of a direct get.
const OF_DIRECT_GET: [&str; 6] = [
    "Nats-Stream",
    "Nats-Subject",
    "Nats-Sequence",
    "Nats-Time-Stamp",
    "Nats-Num-Pending",
    "Nats-Last-Sequence",
];

/// The headers of a message: the caller's own, and those that its fields stand for,
/// with the size of the block in bytes. The message's id is moved there.
///
/// `None` for none: headers cost a third of the speed.
///
/// # Errors
/// `InvalidArgument` for a name or value that the protocol can't hold or that
/// a field stands for, and for a TTL that isn't whole seconds; `TooLarge` for
/// a block over the server's limit.
pub(super) fn of_message(
    operation: &'static str,
    message: &mut PublishMessage,
) -> Result<Option<(HeaderMap, usize)>> {
    let PublishMessage { headers, message_id, expected, ttl, .. } = message;
    if headers.is_empty() && message_id.is_none() && ttl.is_none() && expected.is_empty() {
        return Ok(None);
    }
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter() {
        if OF_FIELDS.contains(&name) {
            return Err(Error::invalid(
                operation,
                "headers",
                "must not set what a field stands for",
            )
            .with("header", name));
        }
        append(operation, &mut map, "headers", name, value)?;
    }
    if let Some(id) = message_id.take() {
        if id.contains(['\r', '\n']) {
            return Err(line_ends(operation, "message_id", "Nats-Msg-Id"));
        }
        // Every event has one: its name needs no check, and its text no copy.
        map.insert(NATS_MESSAGE_ID, HeaderValue::from(id));
    }
    if let Some(stream) = &expected.stream {
        append(operation, &mut map, "expected", "Nats-Expected-Stream", stream)?;
    }
    if let Some(sequence) = expected.last_sequence {
        map.append("Nats-Expected-Last-Sequence", sequence.to_string());
    }
    if let Some(sequence) = expected.last_subject_sequence {
        map.append("Nats-Expected-Last-Subject-Sequence", sequence.to_string());
    }
    if let Some(id) = &expected.last_message_id {
        append(operation, &mut map, "expected", "Nats-Expected-Last-Msg-Id", id)?;
    }
    if let Some(ttl) = ttl {
        append(operation, &mut map, "ttl", "Nats-TTL", &ttl_text(operation, *ttl)?)?;
    }
    let bytes = block_bytes(&map);
    if bytes > MAX_HEADER_BYTES {
        return Err(Error::new(ErrorKind::TooLarge, operation, "the headers are over 65535 bytes")
            .with("bytes", bytes.to_string()));
    }
    Ok(Some((map, bytes)))
}

/// The size of the header block as it travels, in bytes.
fn block_bytes(map: &HeaderMap) -> usize {
    let line = |name: &HeaderName, value: &HeaderValue| {
        AsRef::<str>::as_ref(name).len() + value.as_str().len() + ": \r\n".len()
    };
    let lines: usize =
        map.iter().flat_map(|(name, values)| values.iter().map(move |v| line(name, v))).sum();
    "NATS/1.0\r\n".len() + lines + "\r\n".len()
}

/// The headers of a stored message as a consumer delivers it, by name.
///
/// The client doesn't keep the order among names, only that of the values of one.
pub(super) fn of_delivery(map: &HeaderMap) -> Headers {
    sorted(map, |_| true)
}

/// The headers of a stored message as a direct get answers it, by name.
pub(super) fn of_direct_get(map: &HeaderMap) -> Headers {
    sorted(map, |name| !OF_DIRECT_GET.contains(&name))
}

fn sorted(map: &HeaderMap, wanted: impl Fn(&str) -> bool) -> Headers {
    let mut headers: Vec<(&str, &str)> = map
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |v| (name.as_ref(), v.as_str())))
        .filter(|(name, _)| wanted(name))
        .collect();
    headers.sort_by_key(|(name, _)| *name);
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Reads a header block as a stream holds it: `NATS/1.0`, then `Name: value` lines.
///
/// By name, as the client's deliveries are: a message is the same by whatever way it came.
pub(super) fn of_block(block: &[u8]) -> Headers {
    let text = String::from_utf8_lossy(block);
    let mut headers: Vec<(&str, &str)> = text
        .split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name, value.trim()))
        .collect();
    headers.sort_by_key(|(name, _)| *name);
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Adds a header that stands for `field`, which errors name.
fn append(
    operation: &'static str,
    map: &mut HeaderMap,
    field: &'static str,
    name: &str,
    value: &str,
) -> Result<()> {
    // The client's own conversion panics on what these refuse.
    let key: HeaderName = name.parse().map_err(|_| {
        Error::invalid(operation, "headers", "must have names of visible ASCII without `:`")
            .with("header", name.escape_debug().to_string())
    })?;
    if name.is_empty() || name.contains(' ') {
        return Err(Error::invalid(operation, "headers", "must have names without spaces")
            .with("header", name));
    }
    map.append(key, value_of(operation, field, name, value)?);
    Ok(())
}

fn value_of(
    operation: &'static str,
    field: &'static str,
    name: &str,
    value: &str,
) -> Result<HeaderValue> {
    value.parse().map_err(|_| line_ends(operation, field, name))
}

fn line_ends(operation: &'static str, field: &'static str, name: &str) -> Error {
    Error::invalid(operation, field, "must have values without line ends").with("header", name)
}

fn ttl_text(operation: &'static str, ttl: MessageTtl) -> Result<String> {
    match ttl {
        MessageTtl::Never => Ok("never".to_owned()),
        MessageTtl::After(ttl) if ttl.subsec_nanos() == 0 && ttl.as_secs() > 0 => {
            Ok(format!("{}s", ttl.as_secs()))
        }
        MessageTtl::After(_) => {
            Err(Error::invalid(operation, "ttl", "must be whole seconds, at least one"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use naq_core::jetstream::Expected;

    use super::*;

    fn map_of(message: &PublishMessage) -> Result<Option<HeaderMap>> {
        let headers = of_message("publish", &mut message.clone())?;
        Ok(headers.map(|(map, bytes)| {
            assert_eq!(bytes, block_bytes(&map));
            map
        }))
    }

    #[test]
    fn a_plain_message_has_no_headers() {
        assert_eq!(map_of(&PublishMessage::new("a", "x")).unwrap(), None);
    }

    #[test]
    fn fields_become_headers() {
        let message = PublishMessage::new("a", "x")
            .with_headers(Headers::new().with("B", "1").with("A", "2").with("B", "3"))
            .with_message_id("id-1")
            .with_ttl(MessageTtl::After(Duration::from_secs(90)))
            .with_expected(Expected::default().with_last_subject_sequence(0).with_stream("s"));
        let headers = of_delivery(&map_of(&message).unwrap().unwrap());
        let pairs: Vec<_> = headers.iter().collect();
        assert_eq!(
            pairs,
            [
                ("A", "2"),
                ("B", "1"),
                ("B", "3"),
                ("Nats-Expected-Last-Subject-Sequence", "0"),
                ("Nats-Expected-Stream", "s"),
                ("Nats-Msg-Id", "id-1"),
                ("Nats-TTL", "90s"),
            ]
        );
    }

    #[test]
    fn what_the_protocol_cannot_hold_is_refused() {
        let with = |name: &'static str, value: &str| {
            map_of(&PublishMessage::new("a", "x").with_headers(Headers::new().with(name, value)))
        };
        for (name, value) in [
            ("a:b", "x"),
            ("", "x"),
            ("a b", "x"),
            ("a\r\nb", "x"),
            ("a", "x\r\nPUB b 1"),
            ("Nats-Msg-Id", "x"),
        ] {
            assert!(with(name, value).unwrap_err().is(ErrorKind::InvalidArgument), "{name:?}");
        }
        assert!(with("a", &"x".repeat(65_536)).unwrap_err().is(ErrorKind::TooLarge));
        let id = PublishMessage::new("a", "x").with_message_id("1\r\n2");
        assert!(map_of(&id).unwrap_err().is(ErrorKind::InvalidArgument));
        let ttl =
            PublishMessage::new("a", "x").with_ttl(MessageTtl::After(Duration::from_millis(1_500)));
        assert!(map_of(&ttl).unwrap_err().is(ErrorKind::InvalidArgument));
    }

    #[test]
    fn a_stored_block_is_read_by_name() {
        let headers = of_block(b"NATS/1.0\r\nZ: 2\r\nA: two words\r\nE:\r\nZ: 1\r\n\r\n");
        let pairs: Vec<_> = headers.iter().collect();
        assert_eq!(pairs, [("A", "two words"), ("E", ""), ("Z", "2"), ("Z", "1")]);
    }
}
