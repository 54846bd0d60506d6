//! What stands in for what nobody registered.
//!
//! The system's clock is always there. With the feature `standard`, so is the
//! in-process connector for `memory://`, and the services connection, streams
//! and kv_stores are started when somebody needs what they offer.

use naq_core::clock::Clock;
#[cfg(feature = "standard")]
use naq_core::connection::Connector;
use naq_core::service::Interface;

/// The interfaces that are there without anybody asking.
pub(crate) fn built_in() -> Vec<Interface> {
    vec![
        Interface::of::<dyn Clock>(),
        #[cfg(feature = "standard")]
        Interface::of::<dyn Connector>(),
    ]
}

#[cfg(feature = "standard")]
pub(crate) use with::{insert_built_in, recipes};
#[cfg(not(feature = "standard"))]
pub(crate) use without::{insert_built_in, recipes};

#[cfg(feature = "standard")]
mod with {
    use std::sync::Arc;

    use naq_connection::ConnectionService;
    use naq_core::clock::Clock;
    use naq_core::connection::Connector;
    use naq_core::service::{Instances, Origin};
    use naq_kv::KvStoreService;
    use naq_memory::{MemoryConnector, MemoryJetStream};
    use naq_streams::StreamService;

    use crate::recipe::Recipe;

    /// Puts the in-process connector beside those that the user handed in.
    pub(crate) fn insert_built_in(instances: &mut Instances, clock: &Arc<dyn Clock>) {
        let jetstream = MemoryJetStream::builder().clock(Arc::clone(clock));
        let connector = MemoryConnector::of(jetstream);
        instances.insert::<dyn Connector>(Arc::new(connector), Origin::BuiltIn);
    }

    /// The standard recipes.
    pub(crate) fn recipes() -> Vec<Recipe> {
        vec![
            Recipe::of::<ConnectionService>(),
            Recipe::of::<StreamService>(),
            Recipe::of::<KvStoreService>(),
        ]
    }
}

#[cfg(not(feature = "standard"))]
mod without {
    use std::sync::Arc;

    use naq_core::clock::Clock;
    use naq_core::service::Instances;

    use crate::recipe::Recipe;

    /// Nothing but the clock, which is there already.
    pub(crate) fn insert_built_in(_instances: &mut Instances, _clock: &Arc<dyn Clock>) {}

    /// None.
    pub(crate) fn recipes() -> Vec<Recipe> {
        Vec::new()
    }
}
