//! The key-value service on a mock, for the order of calls and for failure, and on naq-memory.

mod mocked;
mod mocked_many;
mod revisions;
mod service;
