//! The service layer of a job queue on NATS JetStream: one dependency for all of naq.
