//! The event log of naq: write, stream, look up, count.
