//! What a server tells of itself.

use std::sync::Arc;

use naq_core::jetstream::{Capabilities, JetStream, ServerVersion};

pub async fn the_server_tells_who_it_is(js: Arc<dyn JetStream>) {
    let info = js.server_info();
    assert!(info.version >= ServerVersion::OLDEST, "{info:?}");
    assert!(!info.id.is_empty() && !info.name.is_empty(), "{info:?}");
    assert!(info.max_payload > 0, "{info:?}");
    assert_eq!(info, js.server_info(), "it is the same while the connection lasts");
}

pub async fn capabilities_are_those_of_the_version(js: Arc<dyn JetStream>) {
    let (told, can) = (js.capabilities(), Capabilities::of(js.server_info().version));
    assert_eq!(told.message_ttl, can.message_ttl);
    assert_eq!(told.batched_direct_get, can.batched_direct_get);
    assert_eq!(told.atomic_publish, can.atomic_publish);
    assert_eq!(told.fast_ingest, can.fast_ingest);
    assert_eq!(told.nested_filters, can.nested_filters);
}
