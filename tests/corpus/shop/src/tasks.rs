//! Async code and threads.

use crate::black_box;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::yield_now;

async fn user_name(number: u64) -> Option<String> {
    yield_now().await;
    (number == 1).then(|| "Ann".to_owned())
}

async fn greeting(number: u64) -> String {
    let name = user_name(number).await.unwrap();
    format!("Hello {name}")
}

pub async fn greeting_of_nobody() {
    black_box(greeting(black_box(2)).await.len());
}

async fn price_of(sku: &str) -> u64 {
    tokio::time::sleep(Duration::from_millis(1)).await;
    let prices = [("TEA-1", 250)];
    let at = prices.iter().position(|(known, _)| *known == sku);
    prices[at.unwrap_or(3)].1
}

/// In one of two futures that are joined.
pub async fn joined_prices() {
    let (tea, soup) = tokio::join!(price_of("TEA-1"), price_of(black_box("SOUP-9")));
    black_box(tea + soup);
}

async fn next_job(jobs: &mut Vec<&'static str>) -> &'static str {
    yield_now().await;
    jobs.pop().expect("a job is waiting")
}

pub async fn selected_job() {
    let mut jobs = black_box(Vec::new());
    tokio::select! {
        biased;
        job = next_job(&mut jobs) => black_box(job.len()),
        () = tokio::time::sleep(Duration::from_secs(60)) => 0,
    };
}

fn boxed(depth: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    Box::pin(async move {
        yield_now().await;
        if depth == 0 {
            let steps: Vec<u32> = black_box(Vec::new());
            steps[0]
        } else {
            boxed(depth - 1).await + 1
        }
    })
}

/// Futures in futures, as deep as the data.
pub async fn boxed_recursion() {
    black_box(boxed(black_box(5)).await);
}

pub async fn answer_that_never_comes() {
    let (ask, answer) = oneshot::channel::<u32>();
    drop(ask);
    black_box(wait_for(answer).await);
}

async fn wait_for(answer: oneshot::Receiver<u32>) -> u32 {
    answer.await.unwrap()
}

/// In an async block of its own.
pub async fn block_without_change() {
    let change = async {
        yield_now().await;
        let coins: &[u32] = black_box(&[]);
        coins.iter().min().copied().unwrap()
    };
    black_box(change.await);
}

pub fn till_that_is_poisoned() {
    let till = Arc::new(Mutex::new(5_u32));
    let other = till.clone();
    let spoilt = std::thread::spawn(move || {
        let _held = other.lock();
        // Quietly: this is not the bug.
        std::panic::resume_unwind(Box::new("spoilt"));
    });
    black_box(spoilt.join().is_err());
    black_box(in_till(&till));
}

fn in_till(till: &Mutex<u32>) -> u32 {
    *till.lock().unwrap()
}

pub fn belt_that_stopped() {
    let (put, take) = mpsc::channel::<u32>();
    drop(put);
    black_box(from_belt(&take));
}

fn from_belt(take: &mpsc::Receiver<u32>) -> u32 {
    take.recv().unwrap()
}

pub fn worker_that_failed() {
    let worker = std::thread::spawn(|| -> u32 { std::panic::resume_unwind(Box::new("quietly")) });
    black_box(outcome(worker));
}

fn outcome(worker: std::thread::JoinHandle<u32>) -> u32 {
    worker.join().unwrap()
}
