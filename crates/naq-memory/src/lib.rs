//! A JetStream in this process, for tests of naq and for a first run without a server.
