//! Futures.

use std::future::Future;
use std::pin::Pin;

pub async fn tick() {}

pub async fn third(values: &[u8]) -> Option<u8> {
    tick().await;
    let value = values[2];
    Some(value)
}

pub async fn parsed(text: &str) -> Result<u16, std::num::ParseIntError> {
    tick().await;
    let n: u16 = text.parse().unwrap();
    Ok(n)
}

pub fn later(values: Vec<u8>, at: usize) -> impl Future<Output = Option<u8>> {
    async move {
        tick().await;
        let value = values[at];
        Some(value)
    }
}

pub fn boxed(values: Vec<u8>, at: usize) -> Pin<Box<dyn Future<Output = u8>>> {
    Box::pin(async move { values[at] })
}

pub fn quiet(values: Vec<u8>, at: usize) -> impl Future<Output = ()> {
    async move {
        let value = values[at];
        println!("{value}");
    }
}
