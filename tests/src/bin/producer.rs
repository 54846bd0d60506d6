//! A program that logs events and writes down what it offers and is told, so
//! that a test can kill it. Its only argument is an `Order` as JSON.
//!
//! It says `logging` when it begins, `done` when it has logged all, ends in
//! order on SIGTERM, at once on a second one, and when its standard input ends.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test's program fails by panicking")]

use std::io::Read;
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use naq_core::ErrorKind;
use naq_core::config::NaqConfig;
use naq_services::ShutdownReport;
use naq_tests::faults::{Load, Order, Producer, Program, Stopped};
use naq_tests::ledger::Book;

#[tokio::main]
async fn main() {
    let order: Order = serde_json::from_str(&std::env::args().nth(1).unwrap()).unwrap();
    thread::spawn(|| {
        // The test that started it is gone: nobody waits for this any more.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        process::exit(3);
    });
    let config = NaqConfig::from_toml_str(&order.config).unwrap();
    let events = config.events.clone();
    let program = Program::start(config).await.unwrap();
    let book = Arc::new(Book::open(&order.ledger));
    let producer = Producer::new(&order.producer, &program.events, &events, &book);
    println!("logging");
    let load = Load {
        jobs: order.jobs,
        told: order.told,
        job_prefix: "job".to_owned(),
        pad: order.pad,
        rest: order.rest,
        at_most: order.at_most,
        seed: order.seed,
    };
    let logging = producer.load(&load);
    let over = logging.switch();
    let logged = tokio::spawn(async move {
        logging.done().await;
        println!("done");
    });
    let stopped = program.services.run_until_signal().await;
    if !stopped.as_ref().is_err_and(|error| error.is(ErrorKind::Closed)) {
        // After the stop nothing is accepted any more: each call has its answer soon.
        over.store(true, Ordering::Relaxed);
        logged.await.unwrap();
        producer.count();
    }
    let code = match &stopped {
        Ok(report) => {
            tell(report);
            i32::from(!report.is_clean())
        }
        Err(error) => {
            println!("{error:?}");
            // A second signal leaves no report.
            error.source_as().iter().copied().for_each(tell);
            2
        }
    };
    process::exit(code);
}

fn tell(report: &ShutdownReport) {
    println!("{report:?}");
    println!("{}", serde_json::to_string(&Stopped::from(report.total())).unwrap());
}
