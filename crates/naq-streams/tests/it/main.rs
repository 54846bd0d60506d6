//! The stream service on a mock, for the order of calls and for failure, and on naq-memory.

mod mocked;
mod on_memory;
