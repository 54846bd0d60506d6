//! Three servers that are one cluster.

use std::net::TcpListener;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, Info};
use futures::future::join_all;

use super::binary::Version;
use super::config::ServerBuilder;
use super::process::{NatsServer, START_DEADLINE};
use crate::{names, wait};

/// How many servers a cluster has: as many as can lose one.
const SERVERS: usize = 3;

/// Three servers of one version that replicate streams among them.
///
/// Each is a [`NatsServer`] of its own, called `n0`, `n1` and `n2`: it may be
/// killed, frozen and started again, and comes back into the cluster.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<NatsServer>,
}

impl Cluster {
    /// Starts servers of this version, and waits until they store on all three.
    ///
    /// # Panics
    /// As [`NatsServer::start`], and when they don't find one another in time.
    pub async fn start(version: Version) -> Self {
        Self::of(NatsServer::builder().version(version)).await
    }

    /// As [`start`](Self::start), of servers that are so.
    ///
    /// # Panics
    /// As there.
    pub async fn of(settings: ServerBuilder) -> Self {
        let started = async || {
            let ports = free_ports();
            let starting = (0..SERVERS)
                .map(|number| NatsServer::try_start_with(settings.clone().member(number, &ports)));
            let started: Result<Vec<_>, _> = join_all(starting).await.into_iter().collect();
            match started {
                Ok(servers) => Some(Self { servers }),
                // Somebody took one of the ports meanwhile.
                Err(log) if log.contains("address already in use") => None,
                Err(log) => panic!("nats-server ended at once:\n{log}"),
            }
        };
        let cluster = wait::some("three servers", START_DEADLINE, started).await;
        cluster.formed().await;
        cluster
    }

    /// The server of that number, from 0 on.
    pub fn server(&self, number: usize) -> &NatsServer {
        &self.servers[number]
    }

    /// The same, to be treated badly.
    pub fn server_mut(&mut self, number: usize) -> &mut NatsServer {
        &mut self.servers[number]
    }

    /// The numbers of its servers.
    pub fn numbers(&self) -> std::ops::Range<usize> {
        0..self.servers.len()
    }

    /// What a stream's leader tells of it, asked through the server of that
    /// number; `None` where nobody answers for it.
    pub async fn info(&self, through: usize, stream: &str) -> Option<Info> {
        let js = jetstream::new(self.servers[through].client().await);
        let stream = js.get_stream(stream).await.ok()?;
        Some(stream.cached_info().clone())
    }

    /// Which server leads a stream.
    ///
    /// # Panics
    /// When none does in time.
    pub async fn leader(&self, through: usize, stream: &str) -> usize {
        wait::some("a leader", START_DEADLINE, async || {
            let leader = self.info(through, stream).await?.cluster?.leader?;
            self.numbers().find(|number| leader == name(*number))
        })
        .await
    }

    /// Waits until all servers have all that a stream has.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn healed(&self, stream: &str) {
        let others = self.servers.len() - 1;
        wait::until("all replicas to be current", 2 * START_DEADLINE, async || {
            let cluster = self.info(0, stream).await.and_then(|info| info.cluster);
            cluster.is_some_and(|cluster| {
                let current = cluster.replicas.iter().filter(|peer| peer.current && !peer.offline);
                cluster.leader.is_some() && current.count() == others
            })
        })
        .await;
    }

    /// Waits until the servers are one cluster.
    async fn formed(&self) {
        let js = jetstream::new(self.servers[0].client().await);
        let name = names::unique("formed");
        let config = Config { name: name.clone(), num_replicas: SERVERS, ..Config::default() };
        wait::until("the servers to be a cluster", START_DEADLINE, async || {
            js.create_stream(config.clone()).await.is_ok()
        })
        .await;
        self.healed(&name).await;
        js.delete_stream(&name).await.expect("what was made can be deleted");
    }
}

/// What the server of that number is called.
pub(super) fn name(number: usize) -> String {
    format!("n{number}")
}

/// Ports that nobody listens on; for a moment, so others may take them.
fn free_ports() -> Vec<u16> {
    let listeners: Vec<_> = (0..SERVERS)
        .map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port"))
        .collect();
    listeners.iter().map(|listener| listener.local_addr().expect("it listens").port()).collect()
}
