//! prelude.
