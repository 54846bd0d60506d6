//! A webhook for failed jobs: one call for each failure, tried again while the
//! receiver is out of order, and not made twice.
//!
//! `cargo run -p naq-events --example react` needs nothing set up: the log is in
//! this process, and so is the receiver. With `NAQ_NATS_URL=nats://…` the log is
//! on that server.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use naq_core::config::NaqConfig;
use naq_core::kv::{BucketConfig, KvStore};
use naq_events::prelude::*;
use naq_events::reactions::{Handler, Once, Outcome, ReactOptions, Reaction, ReactionService};
use naq_services::ServiceManager;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Calls an address with each event that it is given.
struct Webhook {
    receiver: SocketAddr,
    /// Remembers which calls were taken, for all members of the group.
    once: Once,
}

#[async_trait]
impl Handler for Webhook {
    async fn handle(&self, reaction: Reaction) -> Outcome {
        self.once.run(&reaction, || self.call(&reaction.recorded.payload)).await
    }
}

impl Webhook {
    async fn call(&self, event: &[u8]) -> Outcome {
        match post(self.receiver, event).await {
            Ok(200..=299) => Outcome::Done,
            // It will say the same next time.
            Ok(status @ 400..=499) => Outcome::reject(format!("the receiver answered {status}")),
            Ok(_) | Err(_) => Outcome::retry(),
        }
    }
}

/// Posts JSON and gives the status. In earnest take an HTTP client, and https.
async fn post(to: SocketAddr, json: &[u8]) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(to).await?;
    let head = format!(
        "POST /failed HTTP/1.1\r\nHost: {to}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        json.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(json).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

/// The other side: out of order at first, then it takes what it is sent. It
/// tells of each call.
async fn receive(listener: TcpListener, calls: mpsc::UnboundedSender<String>) {
    let mut is_in_order = false;
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut request = vec![0; 16 * 1024];
        let mut length = 0;
        // An event ends with a brace.
        while !request[..length].ends_with(b"}") {
            match stream.read(&mut request[length..]).await {
                Ok(0) | Err(_) => break,
                Ok(count) => length += count,
            }
        }
        let status = if is_in_order { "200 OK" } else { "503 Service Unavailable" };
        let text = String::from_utf8_lossy(&request[..length]);
        let event = text.split("\r\n\r\n").nth(1).and_then(|json| serde_json::from_str(json).ok());
        let event: serde_json::Value = event.unwrap_or_default();
        let call = format!("{} failed: {} -> {status}", event["job_id"], event["error"]);
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        is_in_order = true;
        if stream.write_all(answer.as_bytes()).await.is_err() || calls.send(call).is_err() {
            return;
        }
    }
}

/// Logs two failures, and answers the calls that came of them.
pub(crate) async fn run() -> Result<Vec<String>> {
    let url = std::env::var("NAQ_NATS_URL").unwrap_or_else(|_| "memory://react".to_owned());
    let services = ServiceManager::builder()
        .config(NaqConfig::from_vars([("NAQ_NATS_URL", url)])?)
        .register::<EventService>()
        .register::<ReactionService>()
        .start()
        .await?;
    let (events, reactions) = (services.get::<EventService>()?, services.get::<ReactionService>()?);

    let broken =
        |error| Error::new(ErrorKind::Unavailable, "example", "no port").with_source(error);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(broken)?;
    let receiver = listener.local_addr().map_err(broken)?;
    let (told, mut calls) = mpsc::unbounded_channel();
    let receiving = tokio::spawn(receive(listener, told));

    // Calls are remembered for longer than any event is tried.
    let marks = BucketConfig::new("called").with_max_age(Duration::from_secs(7 * 86_400));
    let bucket = services.get::<dyn KvStore>()?.ensure_bucket(marks).await?;
    let webhook = Webhook { receiver, once: Once::new(bucket, "webhook") };
    let quick = Duration::from_millis(20);
    let options = ReactOptions::default().with_concurrency(1).with_backoff(quick, 10 * quick);
    let failed = Filter::new().event_type("job_failed");
    let member = reactions.react("webhook", failed, webhook, options).await?;

    events.log_job_failed("job-1", "no route to host", 0.2).await?;
    let mut seen = Vec::new();
    // Refused once, and taken the second time.
    seen.extend(calls.recv().await);
    seen.extend(calls.recv().await);
    events.log_job_completed("job-2", 1.5, true).await?;
    events.log_job_failed("job-3", "disk full", 0.1).await?;
    seen.extend(calls.recv().await);

    let report = member.stop(Duration::from_secs(5)).await;
    let counters = member.counters();
    seen.push(format!(
        "{} done, {} tried again, {} given back",
        counters.done, counters.retried, report.pending
    ));
    services.stop().await?;
    receiving.abort();
    Ok(seen)
}

#[tokio::main]
async fn main() -> Result<()> {
    for line in run().await? {
        println!("{line}");
    }
    Ok(())
}
