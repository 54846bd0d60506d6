//! Ready services by the interfaces they can be had as.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{Interface, Interfaces};

/// Where an instance comes from. The greater wins where one is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// There without anybody asking: the system's clock, the in-process connector.
    BuiltIn,
    /// Built by a recipe.
    Recipe,
    /// Handed in by the user, who owns its life.
    Provided,
}

struct Instance {
    origin: Origin,
    /// An `Arc<T>` where this is kept under `T`'s identity.
    arc: Box<dyn Any + Send + Sync>,
}

/// Ready services by the interfaces they can be had as; what dependencies are resolved from.
#[derive(Default)]
pub struct Instances {
    by_interface: HashMap<TypeId, Vec<Instance>>,
}

impl Instances {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one that stands for exactly `T`.
    pub fn insert<T: ?Sized + Send + Sync + 'static>(&mut self, instance: Arc<T>, origin: Origin) {
        self.keep(Interface::of::<T>(), Box::new(instance), origin);
    }

    /// Adds a service under each of its interfaces.
    pub fn insert_service<S: Send + Sync + 'static>(
        &mut self,
        service: &Arc<S>,
        interfaces: &Interfaces<S>,
    ) {
        for (interface, arc) in interfaces.cast(service) {
            self.keep(interface, arc, Origin::Recipe);
        }
    }

    fn keep(&mut self, interface: Interface, arc: Box<dyn Any + Send + Sync>, origin: Origin) {
        self.by_interface.entry(interface.id()).or_default().push(Instance { origin, arc });
    }

    /// All instances of `T`, in the order in which they were added.
    #[must_use]
    pub fn all<T: ?Sized + Send + Sync + 'static>(&self) -> Vec<Arc<T>> {
        self.of::<T>().map(|(_, arc)| Arc::clone(arc)).collect()
    }

    /// The instances of `T` of the greatest origin there is: one, unless it is ambiguous.
    #[must_use]
    pub fn preferred<T: ?Sized + Send + Sync + 'static>(&self) -> Vec<Arc<T>> {
        let best = self.of::<T>().map(|(origin, _)| origin).max();
        self.of::<T>()
            .filter(|(origin, _)| Some(*origin) == best)
            .map(|(_, arc)| Arc::clone(arc))
            .collect()
    }

    fn of<T: ?Sized + Send + Sync + 'static>(&self) -> impl Iterator<Item = (Origin, &Arc<T>)> {
        self.by_interface
            .get(&TypeId::of::<T>())
            .into_iter()
            .flatten()
            .filter_map(|instance| Some((instance.origin, instance.arc.downcast_ref::<Arc<T>>()?)))
    }
}

impl fmt::Debug for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instances").field("interfaces", &self.by_interface.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    trait Number: Send + Sync {
        fn number(&self) -> u8;
    }

    impl Number for u8 {
        fn number(&self) -> u8 {
            *self
        }
    }

    fn numbers(arcs: &[Arc<dyn Number>]) -> Vec<u8> {
        arcs.iter().map(|number| number.number()).collect()
    }

    #[test]
    fn what_the_user_hands_in_wins_and_all_are_there() {
        let mut instances = Instances::new();
        instances.insert::<dyn Number>(Arc::new(1_u8), Origin::BuiltIn);
        assert_eq!(numbers(&instances.preferred()), [1]);
        instances.insert::<dyn Number>(Arc::new(3_u8), Origin::Provided);
        let interfaces = Interfaces::<u8>::new().with::<dyn Number>(|service| service);
        instances.insert_service(&Arc::new(2_u8), &interfaces);
        assert_eq!(numbers(&instances.preferred()), [3]);
        assert_eq!(numbers(&instances.all()), [1, 3, 2]);
        assert_eq!(instances.all::<u8>(), [Arc::new(2_u8)]);
    }
}
