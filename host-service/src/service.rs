//! One run of slipwayd: takes the home's lock, owns the machine, serves clients, and stops the
//! machine when it is told to end.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

use std::sync::Arc;
use std::time::Duration;

use client::Home;
use client::wire::Problem;

use crate::control::{STOP, Service};
use crate::endpoint::Listener;
use crate::lock::Lock;
use crate::machine::{Native, Qemu, own};
use crate::problem::{Explain, file, problem};
use crate::{VERSION, logs, relay};

/// Runs until slipwayd is told to end.
///
/// # Errors
/// When the home cannot be used, or another slipwayd uses it.
pub fn run() -> Result<(), Problem> {
    let home = Home::from_env().map_err(|error| error.to_problem())?;
    // Before anything is made: a path that is too long leaves nothing behind.
    home.endpoint()
        .check()
        .map_err(|error| error.to_problem())?;
    for folder in [
        home.root().to_owned(),
        home.run_dir(),
        home.logs_dir(),
        home.machine_dir(),
    ] {
        platform::make_private(&folder).map_err(|error| file("create", &folder, &error))?;
    }
    let lock = Lock::take(&home)?;
    logs::start(&home)?;
    crate::ports::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| problem("cannot start slipwayd's tasks").because(error))?;
    let result = runtime.block_on(serve(home));
    runtime.shutdown_timeout(Duration::from_secs(1));
    drop(lock);
    result
}

async fn serve(home: Home) -> Result<(), Problem> {
    let mut ending = platform::Ending::new()
        .map_err(|error| problem("cannot listen for signals").because(error))?;
    let owner = own(
        &home,
        vec![Arc::new(Qemu::new(&home)), Arc::new(Native::new(&home))],
    )?;
    let mut listener = Listener::bind(&home)?;
    tracing::info!(version = VERSION, endpoint = %home.endpoint(), "slipwayd is ready");
    let service = Service {
        home,
        owner: owner.clone(),
    };
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok(connection) => {
                    tokio::spawn(relay::serve(connection, service.clone()));
                }
                Err(error) => {
                    // Too many open files, most likely: others must close theirs first.
                    tracing::warn!(%error, "a client could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    let accepting = async {
        let never: std::convert::Infallible = accepting.await;
        never
    };
    tokio::select! {
        never = accepting => match never {},
        () = ending.wanted() => {}
    }
    tracing::info!("slipwayd is told to end: stopping the machine");
    tokio::select! {
        result = async { owner.stop(STOP).await.await } => result,
        // Who asks twice does not want to wait.
        () = ending.wanted() => owner.stop(Duration::ZERO).await.await,
    }
}
