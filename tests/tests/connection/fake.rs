//! A server that greets as one, counts who comes, answers what it is told to, and hangs up on command.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a fake server says to a request: its subject and payload.
pub(crate) type Answers = Arc<dyn Fn(&str, &[u8]) -> Vec<Answer> + Send + Sync>;

/// One thing that a fake server sends to the reply subject of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A payload.
    Payload(String),
    /// A stored message, as a consumer delivers it.
    Delivery { subject: String, ack_subject: String, payload: String },
    /// A status without payload, such as `404 No Messages`.
    Status(&'static str),
}

/// Ends when dropped.
#[derive(Debug)]
pub(crate) struct FakeServer {
    pub(crate) address: SocketAddr,
    came: Arc<AtomicUsize>,
    greeting: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl FakeServer {
    /// A server that answers nothing.
    pub(crate) async fn start(version: &str) -> Self {
        Self::answering(version, Arc::new(|_, _| Vec::new())).await
    }

    /// A server that answers requests as the function says.
    pub(crate) async fn answering(version: &str, answers: Answers) -> Self {
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
                    let talk = talk(socket, info.clone(), Arc::clone(&answers));
                    let mut greets = greets.clone();
                    tokio::spawn(async move {
                        tokio::select! {
                            _ = talk => {}
                            _ = greets.wait_for(|greets| !greets) => {}
                        }
                    });
                }
            }
        });
        Self { address, came, greeting, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
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

/// Speaks the protocol as far as a client needs it, until the client goes.
async fn talk(socket: TcpStream, info: String, answers: Answers) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    socket.write_all(info.as_bytes()).await?;
    let mut inboxes: Vec<(String, String)> = Vec::new();
    let mut line = String::new();
    while socket.read_line(&mut line).await? > 0 {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["PING"] => socket.write_all(b"PONG\r\n").await?,
            ["SUB", subject, .., id] => inboxes.push((subject.to_owned(), id.to_owned())),
            ["PUB" | "HPUB", subject, ref rest @ .., length] => {
                let mut payload = vec![0; length.parse::<usize>().unwrap() + 2];
                socket.read_exact(&mut payload).await?;
                payload.truncate(payload.len() - 2);
                let reply = rest.first().copied().unwrap_or_default();
                let inbox = inboxes
                    .iter()
                    .find(|(inbox, _)| naq_core::jetstream::subject_matches(inbox, reply));
                if let Some((_, id)) = inbox {
                    for answer in answers(subject, &payload) {
                        socket.write_all(answer.written(reply, id).as_bytes()).await?;
                    }
                }
            }
            _ => {}
        }
        line.clear();
    }
    Ok(())
}

impl Answer {
    /// As it goes to the subscription `id` of the subject `reply`.
    fn written(&self, reply: &str, id: &str) -> String {
        match self {
            Self::Payload(text) => format!("MSG {reply} {id} {}\r\n{text}\r\n", text.len()),
            Self::Delivery { subject, ack_subject, payload } => {
                format!("MSG {subject} {id} {ack_subject} {}\r\n{payload}\r\n", payload.len())
            }
            Self::Status(status) => {
                let headers = format!("NATS/1.0 {status}\r\n\r\n");
                format!("HMSG {reply} {id} {0} {0}\r\n{headers}\r\n", headers.len())
            }
        }
    }
}
