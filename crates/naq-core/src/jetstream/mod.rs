//! jetstream.
