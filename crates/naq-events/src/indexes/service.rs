//! The service as what makes, builds, shows and drops indexes.

use std::sync::Arc;

use futures::{StreamExt, stream};
use naq_core::clock::Clock;
use naq_core::kv::KvStore;
use naq_core::{BoxStream, Error, ErrorKind, Result, Timestamp};
use serde::Serialize;

use super::definition::{Definition, EventIndex, add, find};
use super::kept::Indexes;
use super::status::{EventIndexStatus, status};
use crate::digests::block_of;
use crate::read::{Log, OpenLog};
use crate::service::EventService;

const CREATE: &str = "create_event_index";
const BUILD: &str = "build_event_index";
const REBUILD: &str = "rebuild_event_index";
const LIST: &str = "list_event_indexes";
const STATUS: &str = "event_index_status";
const DROP: &str = "drop_event_index";
const DROP_ALL: &str = "drop_all_event_indexes";

/// How far the building of an index has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IndexProgress {
    /// The last sequence that it covers.
    pub through: u64,
    /// The log's last sequence when the building began: there it ends.
    pub last_sequence: u64,
    /// How many messages were read for it so far.
    pub read: u64,
}

impl EventService {
    /// Keeps indexes of the log in the bucket `naq_indexes` of this store, and
    /// reads by them. Without it every filter that the server can't choose by
    /// reads the whole log.
    #[must_use]
    pub fn with_indexes(mut self, kv: Arc<dyn KvStore>) -> Self {
        let indexes = Indexes::new(kv, Arc::clone(&self.clock), &self.config.stream_name);
        self.indexes = Some(Arc::new(indexes));
        self
    }

    /// Defines an index of these fields, named as filters have them: readings
    /// whose filter asks for their values look there.
    ///
    /// It covers nothing until it is [built](Self::build_event_index). The same
    /// name with the same fields again changes nothing.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that isn't 1 to 64 of `A-Za-z0-9_-`, and
    /// for no fields, more than 8, or one twice; `AlreadyExists` where the name
    /// is taken by other fields, with both; `LimitReached` for more than 16
    /// indexes; `Corrupt` where the list of the indexes was damaged
    /// ([a way out](Self::drop_all_event_indexes)); `Unsupported` for a service without [a store](Self::with_indexes);
    /// `PermissionDenied`; those of the connection.
    pub async fn create_event_index(&self, name: &str, fields: &[&str]) -> Result<EventIndex> {
        let new = Definition::new(CREATE, name, fields, self.clock.now())?;
        let indexes = self.with_store(CREATE)?;
        self.settled(CREATE).await?;
        let open = self.log.open(CREATE).await?;
        let mut list = indexes
            .store
            .change(open.replicas(), |list| add(CREATE, list, &new))
            .await
            .map_err(|error| error.in_operation(CREATE))?;
        indexes.now_listed(list.clone());
        Ok(find(CREATE, &mut list, name)?.index.clone())
    }

    /// Has an index cover everything that is in the log, and tells how far it
    /// has come after each block of 65,536 sequences.
    ///
    /// What is covered already isn't read again, so that building goes on
    /// where it was ended. Ends at the log's end as it stood at the beginning.
    ///
    /// # Errors
    /// As the last item: `NotFound` for a name that no index has; `Corrupt` for a damaged list; `Unsupported`,
    /// `PermissionDenied`; those of the connection.
    pub fn build_event_index(&self, name: &str) -> BoxStream<'static, Result<IndexProgress>> {
        self.building(BUILD, name, false)
    }

    /// Forgets what an index covers, and builds it anew.
    ///
    /// # Errors
    /// Those of [`build_event_index`](Self::build_event_index).
    pub fn rebuild_event_index(&self, name: &str) -> BoxStream<'static, Result<IndexProgress>> {
        self.building(REBUILD, name, true)
    }

    /// The indexes of the log, in the order in which they were created.
    ///
    /// # Errors
    /// `Corrupt` for a damaged list; `Unsupported` for a service without a store; those of the connection.
    pub async fn list_event_indexes(&self) -> Result<Vec<EventIndex>> {
        let list = self.with_store(LIST)?.store.definitions().await;
        let list = list.map_err(|error| error.in_operation(LIST))?;
        Ok(list.into_iter().map(|definition| definition.index).collect())
    }

    /// How far an index reaches, and what it takes. Reads all that is kept of it.
    ///
    /// # Errors
    /// `Corrupt` for a damaged list; `NotFound` for a name that no index has; `Unsupported` for a service
    /// without a store; those of the connection.
    pub async fn event_index_status(&self, name: &str) -> Result<EventIndexStatus> {
        let indexes = self.with_store(STATUS)?;
        self.settled(STATUS).await?;
        let told = |error: Error| error.in_operation(STATUS);
        let open = self.log.open(STATUS).await?;
        let mut list = indexes.store.definitions().await.map_err(told)?;
        status(indexes, find(STATUS, &mut list, name)?, &open).await.map_err(told)
    }

    /// Drops an index and all that is kept of it. Readings go by the log then.
    ///
    /// # Errors
    /// `Corrupt` for a damaged list; `NotFound` for a name that no index has; `Unsupported` for a service
    /// without a store; `PermissionDenied`; those of the connection.
    pub async fn drop_event_index(&self, name: &str) -> Result<()> {
        let indexes = self.with_store(DROP)?;
        self.settled(DROP).await?;
        let told = |error: Error| error.in_operation(DROP);
        let open = self.log.open(DROP).await?;
        let drop = |list: &mut Vec<Definition>| {
            find(DROP, list, name)?;
            list.retain(|it| it.index.name != name);
            Ok(())
        };
        let list = indexes.store.change(open.replicas(), drop).await.map_err(told)?;
        indexes.now_listed(list);
        let first_block = block_of(open.info.state.first_sequence);
        indexes.sweep(open.info.created, first_block).await.map_err(told)
    }

    /// Drops all indexes and all that is kept of them: the way out where the
    /// list of the indexes was damaged, and every other call is `Corrupt`.
    ///
    /// # Errors
    /// `Unsupported` for a service without a store; `PermissionDenied`; those
    /// of the connection.
    pub async fn drop_all_event_indexes(&self) -> Result<()> {
        let indexes = self.with_store(DROP_ALL)?;
        self.settled(DROP_ALL).await?;
        let told = |error: Error| error.in_operation(DROP_ALL);
        let open = self.log.open(DROP_ALL).await?;
        indexes.store.clear().await.map_err(told)?;
        indexes.now_listed(Vec::new());
        let first_block = block_of(open.info.state.first_sequence);
        indexes.sweep(open.info.created, first_block).await.map_err(told)
    }

    fn with_store(&self, operation: &'static str) -> Result<&Arc<Indexes>> {
        self.indexes.as_ref().ok_or_else(|| no_store(operation))
    }

    fn building(
        &self,
        operation: &'static str,
        name: &str,
        anew: bool,
    ) -> BoxStream<'static, Result<IndexProgress>> {
        let settled = self.settled(operation);
        let (indexes, log) = (self.indexes.clone(), self.log.clone());
        let (name, now) = (name.to_owned(), self.clock.now());
        let opening = async move {
            let indexes = indexes.ok_or_else(|| no_store(operation))?;
            settled.await?;
            let open = log.open(operation).await?;
            let definition = define(operation, &indexes, &open, &name, anew.then_some(now)).await?;
            let next = Some(block_of(open.info.state.first_sequence));
            Ok(Building { indexes, log, open, definition, next, read: 0 })
        };
        let steps = stream::once(opening).flat_map(|opened| match opened {
            Err(error) => stream::once(async { Err(error) }).boxed(),
            Ok(building) => stream::try_unfold(building, Building::step).boxed(),
        });
        steps.map(move |step| step.map_err(|error: Error| error.in_operation(operation))).boxed()
    }
}

/// The definition of an index, made anew at a time where that is asked.
async fn define(
    operation: &'static str,
    indexes: &Indexes,
    open: &OpenLog,
    name: &str,
    anew: Option<Timestamp>,
) -> Result<Definition> {
    let Some(now) = anew else {
        let mut list = indexes.store.definitions().await?;
        return find(operation, &mut list, name).cloned();
    };
    let renew = |list: &mut Vec<Definition>| {
        let definition = find(operation, list, name)?;
        *definition = definition.anew(now);
        Ok(())
    };
    let mut list = indexes.store.change(open.replicas(), renew).await?;
    let definition = find(operation, &mut list, name)?.clone();
    indexes.now_listed(list);
    indexes.sweep(open.info.created, block_of(open.info.state.first_sequence)).await?;
    Ok(definition)
}

/// The building of an index, block by block.
struct Building {
    indexes: Arc<Indexes>,
    log: Log,
    open: OpenLog,
    definition: Definition,
    next: Option<u64>,
    read: u64,
}

impl Building {
    async fn step(mut self) -> Result<Option<(IndexProgress, Self)>> {
        let Some(block) = self.next else { return Ok(None) };
        let Self { indexes, log, open, definition, .. } = &self;
        let done = indexes.catch_up_block(log, open, definition, block, None).await?;
        indexes.prune(log, open, std::slice::from_ref(definition), block).await?;
        self.next = done.next;
        self.read += done.read;
        let last_sequence = self.open.info.state.last_sequence;
        let progress = IndexProgress { through: done.through, last_sequence, read: self.read };
        Ok(Some((progress, self)))
    }
}

fn no_store(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unsupported, operation, "indexes are kept in a key-value store")
        .with_hint("give the service one (`with_indexes`)")
}
