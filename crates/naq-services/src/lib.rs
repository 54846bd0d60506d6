//! The service manager of naq: typed wiring and life cycle.
