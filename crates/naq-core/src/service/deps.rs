//! What a service depends on, read off a tuple type.

use std::sync::Arc;

use super::{Instances, Interface};
use crate::{Error, ErrorKind, Result};

/// How many providers of an interface a dependency takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arity {
    /// Exactly one: `Arc<dyn T>`.
    One,
    /// One or none: `Option<Arc<dyn T>>`.
    Optional,
    /// However many there are: `Vec<Arc<dyn T>>`.
    All,
}

/// One dependency: which interface, and how many of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Want {
    /// What is wanted.
    pub interface: Interface,
    /// How many providers of it.
    pub arity: Arity,
}

impl Want {
    fn new<T: ?Sized + 'static>(arity: Arity) -> Self {
        Self { interface: Interface::of::<T>(), arity }
    }
}

/// One element of a [`Deps`] tuple.
pub trait Dep: Sized + Send + 'static {
    /// What it asks for.
    fn want() -> Want;

    /// Takes it from what is ready.
    ///
    /// # Errors
    /// `Config` when exactly one is wanted and there is none, or several stand on a level.
    fn resolve(from: &Instances) -> Result<Self>;
}

/// A tuple of up to eight dependencies: `(Arc<dyn StreamManager>, Vec<Arc<dyn Connector>>)`.
pub trait Deps: Sized + Send + 'static {
    /// What its elements ask for, in order.
    fn wants() -> Vec<Want>;

    /// Takes each from what is ready.
    ///
    /// # Errors
    /// See [`Dep::resolve`].
    fn resolve(from: &Instances) -> Result<Self>;
}

impl<T: ?Sized + Send + Sync + 'static> Dep for Arc<T> {
    fn want() -> Want {
        Want::new::<T>(Arity::One)
    }

    fn resolve(from: &Instances) -> Result<Self> {
        one(from)?.ok_or_else(|| unresolved::<T>("nobody offers what is wanted"))
    }
}

impl<T: ?Sized + Send + Sync + 'static> Dep for Option<Arc<T>> {
    fn want() -> Want {
        Want::new::<T>(Arity::Optional)
    }

    fn resolve(from: &Instances) -> Result<Self> {
        one(from)
    }
}

impl<T: ?Sized + Send + Sync + 'static> Dep for Vec<Arc<T>> {
    fn want() -> Want {
        Want::new::<T>(Arity::All)
    }

    fn resolve(from: &Instances) -> Result<Self> {
        Ok(from.all())
    }
}

fn one<T: ?Sized + Send + Sync + 'static>(from: &Instances) -> Result<Option<Arc<T>>> {
    let mut found = from.preferred::<T>();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(unresolved::<T>("several offer what is wanted once")),
    }
}

fn unresolved<T: ?Sized + 'static>(message: &'static str) -> Error {
    Error::new(ErrorKind::Config, "resolve", message).with("interface", Interface::of::<T>().name())
}

macro_rules! tuples {
    ($($name:ident)*) => {
        impl<$($name: Dep),*> Deps for ($($name,)*) {
            fn wants() -> Vec<Want> {
                vec![$($name::want()),*]
            }

            fn resolve(_from: &Instances) -> Result<Self> {
                Ok(($($name::resolve(_from)?,)*))
            }
        }
    };
}

tuples!();
tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::Origin;

    type Mixed = (Arc<str>, Option<Arc<u8>>, Vec<Arc<u16>>);

    #[test]
    fn a_tuple_tells_what_it_wants() {
        let wants: Vec<(String, Arity)> =
            Mixed::wants().iter().map(|want| (want.interface.name(), want.arity)).collect();
        let expected = [("str", Arity::One), ("u8", Arity::Optional), ("u16", Arity::All)];
        assert_eq!(wants, expected.map(|(name, arity)| (name.to_owned(), arity)));
    }

    #[test]
    fn absence_is_an_error_only_where_one_is_wanted() {
        let mut instances = Instances::new();
        let error = Mixed::resolve(&instances).unwrap_err();
        assert_eq!(error.get("interface"), Some("str"));
        instances.insert::<str>(Arc::from("text"), Origin::Provided);
        let (text, none, empty) = Mixed::resolve(&instances).unwrap();
        assert_eq!((&*text, none, empty), ("text", None, Vec::new()));
    }

    #[test]
    fn two_are_an_error_only_where_at_most_one_is_wanted() {
        let mut instances = Instances::new();
        for number in [1_u16, 2] {
            instances.insert::<u16>(Arc::new(number), Origin::Provided);
        }
        assert!(<(Arc<u16>,)>::resolve(&instances).is_err());
        assert!(<(Option<Arc<u16>>,)>::resolve(&instances).is_err());
        assert_eq!(<(Vec<Arc<u16>>,)>::resolve(&instances).unwrap().0.len(), 2);
    }
}
