#![deny(deprecated)]

use std::future::{Ready, ready};

#[llmobs::task]
fn named() -> Ready<u8> {
    ready(1)
}

#[llmobs::task]
fn inside(x: u8) -> Result<futures::future::BoxFuture<'static, u8>, String> {
    Ok(Box::pin(async move { x }))
}

#[llmobs::task]
fn inside_opaque(x: u8) -> Option<impl std::future::Future<Output = u8>> {
    Some(async move { x })
}

fn main() {}
