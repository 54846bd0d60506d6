//! The section `streams`: what the stream service may do.

use super::section::section;

section! {
    /// The section `streams`.
    pub struct StreamsConfig {
        /// Whether `ensure_stream` may lower a limit below what is stored, which deletes messages.
        allow_shrinking (with_allow_shrinking): bool = false;
    }
}
