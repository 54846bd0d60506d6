//! What stands in for what nobody registered.
//!
//! The system's clock is always there. With the feature `standard`, so is the
//! in-process connector for `memory://`, and the services connection, streams
//! and kv_stores are started when somebody needs what they offer.

use naq_core::clock::Clock;
use naq_core::service::{Instances, Interface};

use crate::recipe::Recipe;

/// The interfaces that are there without anybody asking.
pub(crate) fn built_in() -> Vec<Interface> {
    vec![Interface::of::<dyn Clock>()]
}

/// Puts the built-in instances beside what the user handed in; the clock is there already.
pub(crate) fn insert_built_in(_instances: &mut Instances) {}

/// The standard recipes.
pub(crate) fn recipes() -> Vec<Recipe> {
    Vec::new()
}
