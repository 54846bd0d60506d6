//! Messages as the server stores them: the headers it sees and the bytes it counts.

use naq_core::jetstream::{Headers, MessageTtl, PublishMessage, Storage};

use super::refusal::Refusal;

pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";
pub(crate) const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
pub(crate) const EXPECTED_LAST_SEQUENCE: &str = "Nats-Expected-Last-Sequence";
pub(crate) const EXPECTED_LAST_SUBJECT_SEQUENCE: &str = "Nats-Expected-Last-Subject-Sequence";
pub(crate) const EXPECTED_LAST_MESSAGE_ID: &str = "Nats-Expected-Last-Msg-Id";
pub(crate) const TTL: &str = "Nats-TTL";
pub(crate) const ROLLUP: &str = "Nats-Rollup";
pub(crate) const ROLLUP_SUBJECT: &str = "sub";
pub(crate) const ROLLUP_ALL: &str = "all";
pub(crate) const MARKER_REASON: &str = "Nats-Marker-Reason";
pub(crate) const MESSAGE_SIZE: &str = "Nats-Msg-Size";
pub(crate) const BATCH_ID: &str = "Nats-Batch-Id";
pub(crate) const BATCH_SEQUENCE: &str = "Nats-Batch-Sequence";
pub(crate) const BATCH_COMMIT: &str = "Nats-Batch-Commit";

/// What fields of a message, or its way of publishing, stand for.
const OF_FIELDS: [&str; 9] = [
    MESSAGE_ID,
    TTL,
    EXPECTED_STREAM,
    EXPECTED_LAST_SEQUENCE,
    EXPECTED_LAST_SUBJECT_SEQUENCE,
    EXPECTED_LAST_MESSAGE_ID,
    BATCH_ID,
    BATCH_SEQUENCE,
    BATCH_COMMIT,
];

/// The largest header block that the server stores.
pub(crate) const MAX_HEADER_BYTES: u64 = 65_535;

/// All headers of a message: the caller's own, then those of its fields.
pub(crate) fn headers(message: &PublishMessage) -> Headers {
    let mut headers = message.headers.clone();
    if let Some(id) = &message.message_id {
        headers.append(MESSAGE_ID, id);
    }
    let expected = &message.expected;
    if let Some(stream) = &expected.stream {
        headers.append(EXPECTED_STREAM, stream);
    }
    if let Some(sequence) = expected.last_sequence {
        headers.append(EXPECTED_LAST_SEQUENCE, sequence.to_string());
    }
    if let Some(sequence) = expected.last_subject_sequence {
        headers.append(EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string());
    }
    if let Some(id) = &expected.last_message_id {
        headers.append(EXPECTED_LAST_MESSAGE_ID, id);
    }
    match message.ttl {
        Some(MessageTtl::After(ttl)) => headers.append(TTL, format!("{}s", ttl.as_secs())),
        Some(MessageTtl::Never) => headers.append(TTL, "never"),
        None => {}
    }
    headers
}

/// Checks that the wire can carry the headers and no field is set twice.
pub(crate) fn check_headers(message: &PublishMessage) -> Result<(), Refusal> {
    for (name, value) in message.headers.iter() {
        if OF_FIELDS.contains(&name) {
            return Err(Refusal::invalid("headers", "must not set what a field stands for"));
        }
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
            return Err(Refusal::invalid(
                "headers",
                "must have names of visible ASCII without `:`",
            ));
        }
        check_value("headers", value)?;
    }
    let expected = &message.expected;
    for (field, value) in [
        ("message_id", &message.message_id),
        ("expected", &expected.stream),
        ("expected", &expected.last_message_id),
    ] {
        check_value(field, value.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

fn check_value(field: &'static str, value: &str) -> Result<(), Refusal> {
    if value.contains(['\r', '\n']) {
        return Err(Refusal::invalid(field, "must have values without line ends"));
    }
    Ok(())
}

/// How many bytes a header block takes: `NATS/1.0`, a line each, an empty line.
pub(crate) fn header_bytes(headers: &Headers) -> u64 {
    if headers.is_empty() {
        return 0;
    }
    headers.iter().map(|(name, value)| (name.len() + value.len() + 4) as u64).sum::<u64>() + 12
}

/// The share of a stream's bytes that a message has, as the server's stores count it.
pub(crate) fn stored_bytes(storage: Storage, subject: usize, headers: u64, payload: usize) -> u64 {
    let bytes = (subject + payload) as u64 + headers;
    match storage {
        // Length, sequence, time and subject length before it, a checksum behind it, and the
        // length of the headers where there are any.
        Storage::File => bytes + 30 + if headers > 0 { 4 } else { 0 },
        Storage::Memory => bytes + 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_servers_stores() {
        assert_eq!(stored_bytes(Storage::File, 3, 0, 5), 38);
        assert_eq!(stored_bytes(Storage::Memory, 3, 0, 5), 24);
        let headers = Headers::new().with("A", "b");
        // "NATS/1.0\r\n" + "A: b\r\n" + "\r\n"
        assert_eq!(header_bytes(&headers), 18);
        assert_eq!(stored_bytes(Storage::File, 3, 18, 5), 60);
    }
}
