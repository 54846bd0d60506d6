//! Atomic batches: all or nothing.

use naq_core::jetstream::PublishMessage;
use proptest::prelude::*;

use super::{Op, config, model, moment, ops, subject};

fn batch() -> impl Strategy<Value = Vec<PublishMessage>> {
    let message = (
        subject(),
        0..40_usize,
        proptest::option::weighted(0.3, 0..6_u8),
        proptest::option::weighted(0.2, 0..4_u64),
    )
        .prop_map(|(subject, size, id, expect)| Op::message(subject, size, id, expect));
    proptest::collection::vec(message, 1..6)
}

proptest! {
    #[test]
    fn a_batch_is_stored_whole_or_changes_nothing(
        config in config(),
        ops in ops(20),
        batch in batch(),
    ) {
        let mut model = model(&config.with_allow_atomic_publish(true));
        for op in &ops {
            let _ = op.apply(&mut model, moment(0));
        }
        let before = model.stream_info("s", moment(0)).unwrap().state;
        let count = batch.len() as u64;
        let ids: Vec<_> = batch.iter().filter_map(|message| message.message_id.clone()).collect();
        match model.publish_atomic(batch, moment(0)) {
            Ok(ack) => {
                prop_assert_eq!((ack.sequence, ack.count), (before.last_sequence + count, count));
                for id in ids {
                    let again = PublishMessage::new("s.a", "").with_message_id(id);
                    prop_assert!(model.publish(again, moment(0)).unwrap().duplicate);
                }
            }
            Err(_) => {
                prop_assert_eq!(model.stream_info("s", moment(0)).unwrap().state, before);
            }
        }
    }
}
