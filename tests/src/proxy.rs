//! A TCP proxy between a client and its server that breaks things on command.
//!
//! It does to a connection what a network does: close it, reset it, hold what
//! is on its way, delay it, slow it down, and cut it after an exact byte. What it
//! holds when a connection is cut is lost, as in a real socket's buffer. What a
//! client left in a network that stood still may arrive long after it has gone.
//!
//! A client of a cluster learns other addresses from its server and would go
//! round the proxy: connect with discovered servers ignored.

mod link;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use link::{Lane, Link};

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Ending {
    /// In order (FIN).
    #[default]
    Close,
    /// At once (RST).
    Reset,
}

/// The proxy. Its connections end when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What the proxy and its connections share.
#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    to_server: Lane,
    to_client: Lane,
    /// Counts the cuts, so that each ends the connections of its time alone.
    cut: watch::Sender<(u64, Ending)>,
    refusing: watch::Sender<bool>,
    open: watch::Sender<Connections>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Connections {
    open: usize,
    accepted: u64,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1 and passes everything to `server`
    /// and back.
    ///
    /// # Panics
    /// When the machine has no port to listen on.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared {
            server,
            to_server: Lane::default(),
            to_client: Lane::default(),
            cut: watch::Sender::default(),
            refusing: watch::Sender::default(),
            open: watch::Sender::default(),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Self { address, shared, accepting }
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for NATS clients.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// How many connections are open now.
    pub fn open(&self) -> usize {
        self.shared.open.borrow().open
    }

    /// How many connections there have been.
    pub fn accepted(&self) -> u64 {
        self.shared.open.borrow().accepted
    }

    /// How many bytes have gone one way.
    pub fn passed(&self, direction: Direction) -> u64 {
        self.lane(direction).passed()
    }

    /// Closes all open connections, in order (FIN). New ones are taken.
    pub fn cut(&self) {
        self.end_all(Ending::Close);
    }

    /// Resets all open connections (RST). New ones are taken.
    pub fn reset(&self) {
        self.end_all(Ending::Reset);
    }

    /// Cuts a connection after exactly `bytes` more bytes have gone one way (all
    /// connections counted together); once. With 0 that is at the next byte.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.lane(direction).cut_after(bytes, false);
    }

    /// As [`cut_after`](Self::cut_after), with a reset (RST).
    pub fn reset_after(&self, direction: Direction, bytes: u64) {
        self.lane(direction).cut_after(bytes, true);
    }

    /// Takes no connections (each is reset at once), or takes them again. Open
    /// ones stay.
    pub fn refuse(&self, refusing: bool) {
        self.shared.refusing.send_replace(refusing);
    }

    /// Holds everything that goes one way until [`heal`](Self::heal): nobody is
    /// told, nothing is lost unless the connection is cut meanwhile.
    pub fn black_hole(&self, direction: Direction) {
        self.lane(direction).change(|faults| faults.held = true);
    }

    /// Holds what the connections that are open now send to the server until
    /// [`heal`](Self::heal), and passes it on then, also where the client has gone
    /// meanwhile: so does a network that comes back, for a system sends what a
    /// program left in its socket. Later connections aren't concerned.
    pub fn strand(&self) {
        let accepted = self.accepted();
        self.lane(Direction::ToServer).change(|faults| {
            (faults.stranded, faults.stranded_held) = (accepted, true);
        });
    }

    /// Everything that goes one way arrives this much later. Throughput is not
    /// affected, up to what fits into the proxy's buffer (1 MiB).
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.lane(direction).change(|faults| faults.delay = delay);
    }

    /// At most this many bytes a second go one way.
    ///
    /// # Panics
    /// With a rate of 0; that is [`black_hole`](Self::black_hole).
    pub fn throttle(&self, direction: Direction, bytes_per_second: u32) {
        assert!(bytes_per_second > 0, "a throttle lets something pass");
        self.lane(direction).change(|faults| faults.bytes_per_second = Some(bytes_per_second));
    }

    /// Takes back the cuts that no connection has come to yet.
    pub fn call_off_cuts(&self) {
        for direction in [Direction::ToServer, Direction::ToClient] {
            self.lane(direction).call_off_cut();
        }
    }

    /// Ends every hold, delay and throttle, and takes connections. A cut that is
    /// due stays due.
    pub fn heal(&self) {
        self.refuse(false);
        for direction in [Direction::ToServer, Direction::ToClient] {
            self.lane(direction).change(|faults| *faults = faults.healed());
        }
    }

    fn lane(&self, direction: Direction) -> &Lane {
        match direction {
            Direction::ToServer => &self.shared.to_server,
            Direction::ToClient => &self.shared.to_client,
        }
    }

    fn end_all(&self, ending: Ending) {
        self.shared.cut.send_modify(|(count, how)| {
            *count += 1;
            *how = ending;
        });
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Owns the connections: they end with this task.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    // An accept that fails means that the machine is out of something; the
    // test sees it as a proxy that takes no more connections.
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        if *shared.refusing.borrow() {
            reset(&client);
            continue;
        }
        connections.spawn(serve(client, shared.clone()));
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    let mut cut = shared.cut.subscribe();
    let Ok(mut server) = TcpStream::connect(shared.server).await else {
        reset(&client);
        return;
    };
    let open = Open::count(&shared);
    let ending = if prepare(&client, &server).is_ok() {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let there = Link::new(&shared.to_server, open.number, from_client, to_server);
        let back = Link::new(&shared.to_client, open.number, from_server, to_client);
        // A client that has gone is told nothing; what it had sent is still on its way.
        let back = async {
            match back.run().await {
                Err(_) if shared.to_server.has_stranded(open.number) => Ok(()),
                ended => ended,
            }
        };
        tokio::select! {
            // Cut first, then data: a cut lets nothing pass any more.
            biased;
            changed = cut.changed() => changed.map_or(Ending::Close, |()| cut.borrow().1),
            // One side's end (FIN) is passed on; both must end, or one break.
            ended = async { tokio::try_join!(there.run(), back) } => match ended {
                // A client that resets its own connection is passed on the same way.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ending::Reset,
                _ => Ending::Close,
            },
        }
    } else {
        Ending::Reset
    };
    if ending == Ending::Reset {
        reset(&client);
        reset(&server);
    }
}

fn prepare(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)
}

/// Makes the socket's end a RST. One that is broken already needs none.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// Counts a connection as open while it lives.
struct Open<'a> {
    shared: &'a Shared,
    /// Which one it is, from 1 on.
    number: u64,
}

impl<'a> Open<'a> {
    fn count(shared: &'a Shared) -> Self {
        let mut number = 0;
        shared.open.send_modify(|connections| {
            connections.open += 1;
            connections.accepted += 1;
            number = connections.accepted;
        });
        Self { shared, number }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.shared.open.send_modify(|connections| connections.open -= 1);
    }
}
