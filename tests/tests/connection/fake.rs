//! A server that greets as one, counts who comes, and hangs up on command.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Ends when dropped.
#[derive(Debug)]
pub(crate) struct FakeServer {
    pub(crate) address: SocketAddr,
    came: Arc<AtomicUsize>,
    greeting: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl FakeServer {
    pub(crate) async fn start(version: &str) -> Self {
        let info = format!(
            "INFO {{\"server_id\":\"FAKE\",\"server_name\":\"fake\",\"version\":\"{version}\",\
             \"max_payload\":1048576,\"headers\":true,\"jetstream\":true}}\r\n"
        );
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let came = Arc::new(AtomicUsize::new(0));
        let greeting = watch::Sender::new(true);
        let (count, greets) = (Arc::clone(&came), greeting.subscribe());
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                if *greets.borrow() {
                    tokio::spawn(greet(socket, info.clone(), greets.clone()));
                }
            }
        });
        Self { address, came, greeting, task }
    }

    /// Hangs up on everybody, now and from now on.
    pub(crate) fn hang_up(&self) {
        self.greeting.send_replace(false);
    }

    /// How many have come.
    pub(crate) fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.task.abort();
        self.hang_up();
    }
}

/// Answers a client's first PING, and then nothing, until it is to hang up.
async fn greet(mut socket: TcpStream, info: String, mut greets: watch::Receiver<bool>) {
    let talk = async {
        socket.write_all(info.as_bytes()).await?;
        // CONNECT and PING come in one piece.
        if socket.read(&mut [0; 4096]).await? == 0 {
            return Ok(());
        }
        socket.write_all(b"PONG\r\n").await?;
        while socket.read(&mut [0; 4096]).await? > 0 {}
        std::io::Result::Ok(())
    };
    tokio::select! {
        _ = talk => {}
        _ = greets.wait_for(|greets| !greets) => {}
    }
}
