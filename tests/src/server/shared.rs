//! One server for all tests of a process.

use std::ops::Deref;
use std::thread;

use tokio::sync::OnceCell;

use super::process::NatsServer;

static SERVER: OnceCell<NatsServer> = OnceCell::const_new();

/// The server that the tests of this process share, of the latest version, with
/// JetStream and no limits of its own. It is started by the first who asks and
/// ends with the process (its watchdog sees to it: statics are never dropped).
///
/// For tests that take names of their own (see [`crate::names::unique`]) and do
/// the server no harm; others start their own [`NatsServer`].
pub async fn shared() -> SharedServer {
    SharedServer(SERVER.get_or_init(NatsServer::start).await)
}

/// A test's hold on the shared server; shows the server's log if the test fails.
#[derive(Debug)]
pub struct SharedServer(&'static NatsServer);

impl Deref for SharedServer {
    type Target = NatsServer;

    fn deref(&self) -> &NatsServer {
        self.0
    }
}

impl Drop for SharedServer {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.show_log();
        }
    }
}
