//! Stream management for naq: ensure, inspect, purge.
