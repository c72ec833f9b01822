//! Pulls one image into a store and prints what it took: `pull ROOT NAME [--progress]`.
#![allow(clippy::print_stdout, reason = "a program's output")]

use std::time::Instant;

use images::{PullOptions, Reference, Store};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(root), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err("usage: pull ROOT NAME [--progress]".into());
    };
    let loud = arguments.next().is_some();
    let store = Store::open(root.as_ref())?;
    let (sender, mut messages) = tokio::sync::mpsc::channel(64);
    let shown = tokio::spawn(async move {
        while let Some(message) = messages.recv().await {
            if loud {
                println!("{}", serde_json::to_string(&message).unwrap_or_default());
            }
        }
    });
    let started = Instant::now();
    let pulled = store
        .pull(&Reference::parse(&name)?, PullOptions::default(), sender)
        .await?;
    let took = started.elapsed();
    shown.await?;
    let image = store.get(&pulled.id)?;
    println!(
        "{} {} bytes in {:.3} s",
        pulled.reference,
        image.size,
        took.as_secs_f64()
    );
    Ok(())
}
