//! Tests of the filter: its rules one by one, and against a naive evaluation.
