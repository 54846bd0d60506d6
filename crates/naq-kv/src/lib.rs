//! Key-value buckets in NATS's own wire format on naq's JetStream port.
