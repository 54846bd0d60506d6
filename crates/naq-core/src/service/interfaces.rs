//! What a service offers: its own type, and the traits it can be had as.

use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A type that a service can be had as: a trait object or a concrete service.
#[derive(Clone, Copy)]
pub struct Interface {
    id: TypeId,
    path: &'static str,
}

impl Interface {
    /// The interface `T`, such as `dyn EventLog` or `EventService`.
    #[must_use]
    pub fn of<T: ?Sized + 'static>() -> Self {
        Self { id: TypeId::of::<T>(), path: type_name::<T>() }
    }

    /// The type's name without its modules: `dyn EventLog`.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = String::with_capacity(self.path.len());
        for part in
            self.path.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_' && c != ':')
        {
            name.push_str(part.rsplit("::").next().unwrap_or(part));
        }
        name
    }

    /// The type's identity.
    #[must_use]
    pub fn id(&self) -> TypeId {
        self.id
    }
}

impl PartialEq for Interface {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Interface {}

impl Hash for Interface {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

type Cast<S> = Box<dyn Fn(&Arc<S>) -> Box<dyn Any + Send + Sync> + Send + Sync>;

/// The interfaces that service `S` offers beside its concrete type.
///
/// ```
/// use std::fmt::Debug;
/// use naq_core::service::Interfaces;
///
/// trait Greet: Debug + Send + Sync {}
/// #[derive(Debug)]
/// struct English;
/// impl Greet for English {}
///
/// let interfaces = Interfaces::<English>::new().with::<dyn Greet>(|service| service);
/// assert_eq!(interfaces.list().last().map(|last| last.name()).as_deref(), Some("dyn Greet"));
/// ```
#[must_use]
pub struct Interfaces<S> {
    casts: Vec<(Interface, Cast<S>)>,
}

impl<S: Send + Sync + 'static> Interfaces<S> {
    /// The concrete type alone.
    pub fn new() -> Self {
        Self { casts: Vec::new() }.with::<S>(|service| service)
    }

    /// And as `T`; `cast` is nearly always `|service| service`.
    pub fn with<T: ?Sized + Send + Sync + 'static>(
        mut self,
        cast: impl Fn(Arc<S>) -> Arc<T> + Send + Sync + 'static,
    ) -> Self {
        let cast: Cast<S> = Box::new(move |service| Box::new(cast(Arc::clone(service))));
        self.casts.push((Interface::of::<T>(), cast));
        self
    }

    /// The interfaces, the concrete type first.
    #[must_use]
    pub fn list(&self) -> Vec<Interface> {
        self.casts.iter().map(|(interface, _)| *interface).collect()
    }

    /// The service as each of its interfaces: a box that holds an `Arc` of the interface.
    pub(super) fn cast<'a>(
        &'a self,
        service: &'a Arc<S>,
    ) -> impl Iterator<Item = (Interface, Box<dyn Any + Send + Sync>)> + 'a {
        self.casts.iter().map(|(interface, cast)| (*interface, cast(service)))
    }
}

impl<S: Send + Sync + 'static> Default for Interfaces<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> fmt::Debug for Interfaces<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.casts.iter().map(|(interface, _)| interface)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_modules_and_keep_their_shape() {
        assert_eq!(Interface::of::<dyn fmt::Debug>().name(), "dyn Debug");
        assert_eq!(Interface::of::<Vec<Arc<dyn Any>>>().name(), "Vec<Arc<dyn Any>>");
        assert_eq!(Interface::of::<Interface>().to_string(), "Interface");
    }
}
