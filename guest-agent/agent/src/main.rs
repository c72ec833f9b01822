//! `slipway-agent`: wires the engine to the warden, the API to the link, and answers control
//! messages. `slipway-agent ports` leads published ports to containers instead.

mod arguments;
mod clock;
mod control;
mod disk;
mod ports;
mod resolve;
mod serial;
mod serve;
mod sessions;
mod vsock;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::Context;
use api::Api;
use engine::{Engine, Options};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::arguments::Arguments;
use crate::serve::LazyApi;

fn main() -> anyhow::Result<()> {
    let wanted = std::env::var("SLIPWAY_LOG").ok();
    let targets: Option<Targets> = wanted.and_then(|text| text.parse().ok());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    tracing_subscriber::registry()
        .with(lines)
        .with(targets.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO)))
        .init();
    let mut arguments = std::env::args().skip(1).peekable();
    let only_ports = arguments.next_if(|first| first == "ports").is_some();
    let arguments = Arguments::parse(arguments)?;
    if only_ports {
        let link = arguments.link.context("--link is missing")?;
        // One thread: what is handed to another one costs more than the work itself.
        return runtime(&mut Builder::new_current_thread(), ports::serve(link));
    }
    // Two workers keep the memory small; file work runs on blocking threads.
    let mut workers = Builder::new_multi_thread();
    runtime(workers.worker_threads(2), run(arguments))?
}

fn runtime<T>(builder: &mut Builder, work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = builder.enable_all().build();
    Ok(runtime
        .context("starting the runtime failed")?
        .block_on(work))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let warden = arguments.warden_socket()?;
    let engine = Engine::start(
        Options {
            root: arguments.root.clone(),
            run: arguments.run.clone(),
            machine: arguments.machine,
            bundled_images: arguments.bundled_images.clone(),
        },
        warden,
    )
    .context("starting the engine failed")?;
    let api = Arc::clone(&engine);
    let api: LazyApi = Arc::new(LazyLock::new(Box::new(move || Api::new(api))));
    if let Some(path) = &arguments.api {
        let listener = serve::listen(path)?;
        tokio::spawn(serve::api(listener, Arc::clone(&api)));
    }
    if let Some(link) = arguments.link.clone() {
        tokio::spawn(serve::link(
            link,
            Arc::clone(&api),
            Arc::clone(&engine),
            arguments.machine,
        ));
    }
    // The link comes up on another thread meanwhile.
    LazyLock::force(&api);
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM failed")?;
    terminate.recv().await;
    tracing::info!("SIGTERM: stopping the containers");
    engine.power_off(Duration::from_secs(30)).await;
    Ok(())
}
