//! What the server tells of fast batches, overheard.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::Message;
use futures::StreamExt;
use naq_tests::faults::Scene;
use serde_json::Value;
use tokio::task::JoinHandle;

/// What was told so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    /// How often the server said that it doesn't know a batch (10208).
    pub(crate) unknown: u64,
    /// How often it said so of a message behind the first of its batch: that came
    /// after the batch's end, and isn't stored.
    pub(crate) late: u64,
    /// How often it said that it takes no more batches (10211).
    pub(crate) refused: u64,
    /// How often it told somebody else than a batch's sender how much of it is
    /// stored: who fenced it off.
    pub(crate) fenced: u64,
}

/// Somebody who hears all answers of the server.
pub(crate) struct Words {
    told: Arc<Mutex<Told>>,
    listening: JoinHandle<()>,
}

impl Words {
    pub(crate) async fn listen(scene: &Scene) -> Self {
        let client = scene.server.client().await;
        let mut answers = client.subscribe("_INBOX.>").await.unwrap();
        client.flush().await.unwrap();
        let told = Arc::new(Mutex::new(Told::default()));
        let so_far = Arc::clone(&told);
        let listening = tokio::spawn(async move {
            // Where the answers go of who sends a batch.
            let mut senders = HashMap::new();
            while let Some(answer) = answers.next().await {
                hear(&answer, &mut senders, &mut so_far.lock().unwrap());
            }
        });
        Self { told, listening }
    }

    pub(crate) fn told(&self) -> Told {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn hear(answer: &Message, senders: &mut HashMap<String, String>, told: &mut Told) {
    // `<inbox>.<batch>.<flow>.fail.<number>.<operation>.$FI`
    let tokens: Vec<&str> = answer.subject.rsplitn(7, '.').collect();
    let ["$FI", operation, _, _, _, batch, inbox] = tokens[..] else { return };
    let Ok(body) = serde_json::from_slice::<Value>(&answer.payload) else { return };
    if body["error"]["err_code"] == 10_211 {
        told.refused += 1;
    } else if body["error"]["err_code"] == 10_208 {
        told.unknown += 1;
        told.late += u64::from(operation == "1");
    } else if operation == "0" {
        senders.insert(batch.to_owned(), inbox.to_owned());
    } else if body["count"].is_u64() && senders.get(batch).is_some_and(|sender| sender != inbox) {
        told.fenced += 1;
    }
}
