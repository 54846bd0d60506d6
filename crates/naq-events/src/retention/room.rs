//! The room of one message, from its headers alone.

use naq_core::jetstream::{Headers, Storage, StoredMessage};

/// The header in which a server says how long a payload is that it left away.
const PAYLOAD_SIZE: &str = "Nats-Msg-Size";

/// How many of the stream's bytes a message takes that was read without its
/// payload, as the server counts them: a record's length, sequence, time,
/// subject, headers, payload and checksum.
pub(super) fn room(storage: Storage, message: &StoredMessage) -> u64 {
    let told = message.headers.get(PAYLOAD_SIZE).and_then(|size| size.parse::<u64>().ok());
    let payload = told.unwrap_or(message.payload.len() as u64);
    let headers = header_bytes(&message.headers);
    let bytes = message.subject.len() as u64 + headers + payload;
    match storage {
        Storage::File if headers > 0 => bytes + 34,
        Storage::File => bytes + 30,
        Storage::Memory => bytes + 16,
    }
}

/// `NATS/1.0`, a line each, an empty line; without the server's own.
fn header_bytes(headers: &Headers) -> u64 {
    let own = headers.iter().filter(|(name, _)| *name != PAYLOAD_SIZE);
    match own.map(|(name, value)| (name.len() + value.len() + 4) as u64).sum() {
        0 => 0,
        lines => lines + 12_u64,
    }
}
