//! NATS connections and the JetStream adapter of naq.
