//! Connections by their key, each made once however many ask at the same time.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use naq_core::connection::{Connection, ConnectionState};
use naq_core::{Error, ErrorKind, Result};

type Made = Result<Arc<dyn Connection>>;
type Making = Shared<BoxFuture<'static, Made>>;

/// Connections by their key.
pub(crate) struct Pool<K> {
    inner: Mutex<Inner<K>>,
}

struct Inner<K> {
    slots: HashMap<K, Slot>,
    closed: bool,
}

enum Slot {
    /// Being made, as long as somebody waits for it.
    Making(WeakShared<BoxFuture<'static, Made>>),
    /// There.
    Ready(Arc<dyn Connection>),
}

impl<K: Hash + Eq + Clone> Pool<K> {
    pub(crate) fn new() -> Self {
        Self { inner: Mutex::new(Inner { slots: HashMap::new(), closed: false }) }
    }

    /// The connection of a key; `make` makes it unless it is there or being made.
    ///
    /// Everybody who waits for the same attempt gets its outcome; a failure is
    /// not kept: the next call tries anew. An attempt ends when nobody waits
    /// for it any more.
    pub(crate) async fn get(
        &self,
        key: K,
        make: impl FnOnce() -> BoxFuture<'static, Made>,
    ) -> Made {
        let making = match self.look(&key, make)? {
            Found::Ready(connection) => return Ok(connection),
            Found::Making(making) => making,
        };
        let made = making.clone().await;
        let late = self.settle(&key, &making, &made);
        match (made, late) {
            (Ok(connection), true) => {
                // It was made while the pool closed: nobody else will close it.
                let _ = connection.close(std::time::Duration::ZERO).await;
                Err(closed())
            }
            (made, _) => made,
        }
    }

    fn look(&self, key: &K, make: impl FnOnce() -> BoxFuture<'static, Made>) -> Result<Found> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(closed());
        }
        match inner.slots.get(key) {
            Some(Slot::Ready(connection)) if connection.state() != ConnectionState::Closed => {
                return Ok(Found::Ready(Arc::clone(connection)));
            }
            Some(Slot::Making(making)) => {
                if let Some(making) = making.upgrade() {
                    return Ok(Found::Making(making));
                }
            }
            _ => {}
        }
        let making = make().shared();
        if let Some(weak) = making.downgrade() {
            inner.slots.insert(key.clone(), Slot::Making(weak));
        }
        Ok(Found::Making(making))
    }

    /// Keeps what an attempt made, once; `true` when the pool was closed meanwhile.
    fn settle(&self, key: &K, making: &Making, made: &Made) -> bool {
        let mut inner = self.lock();
        if inner.closed {
            return true;
        }
        let ours = match inner.slots.get(key) {
            Some(Slot::Making(weak)) => {
                weak.upgrade().is_some_and(|other| Shared::ptr_eq(&other, making))
            }
            _ => false,
        };
        if ours {
            match made {
                Ok(connection) => {
                    inner.slots.insert(key.clone(), Slot::Ready(Arc::clone(connection)));
                }
                Err(_) => {
                    inner.slots.remove(key);
                }
            }
        }
        false
    }

    /// Takes a connection out, if it is there.
    pub(crate) fn take(&self, key: &K) -> Option<Arc<dyn Connection>> {
        match self.lock().slots.remove(key) {
            Some(Slot::Ready(connection)) => Some(connection),
            _ => None,
        }
    }

    /// The connections that are there.
    pub(crate) fn ready(&self) -> Vec<Arc<dyn Connection>> {
        self.lock().slots.values().filter_map(Slot::ready).collect()
    }

    /// Gives out no more, and tells what is there, until it is [cleared](Self::clear).
    pub(crate) fn close(&self) -> Vec<Arc<dyn Connection>> {
        let mut inner = self.lock();
        inner.closed = true;
        inner.slots.values().filter_map(Slot::ready).collect()
    }

    /// Lets go of all connections.
    pub(crate) fn clear(&self) {
        self.lock().slots.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner<K>> {
        // Nothing panics while it holds the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Found {
    Ready(Arc<dyn Connection>),
    Making(Making),
}

impl Slot {
    fn ready(&self) -> Option<Arc<dyn Connection>> {
        match self {
            Self::Ready(connection) => Some(Arc::clone(connection)),
            Self::Making(_) => None,
        }
    }
}

impl<K> fmt::Debug for Pool<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        // Keys may be URLs with a password.
        f.debug_struct("Pool")
            .field("connections", &inner.slots.len())
            .field("closed", &inner.closed)
            .finish()
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "get_connection", "the connection service was stopped")
}
