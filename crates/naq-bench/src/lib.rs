//! Benchmarks of naq beside raw clients.
