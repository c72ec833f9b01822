//! QEMU's monitor (QMP): asked rarely, so each question makes its own connection.

use std::io;
use std::time::Duration;

use qapi::futures::{QapiStream, QmpStreamTokio};
use qapi::qmp::{self, MigrationStatus};
use tokio::io::{ReadHalf, WriteHalf};

use crate::machine::channel::{Address, Channel};

type Half<T> = QmpStreamTokio<T>;
type Stream = QapiStream<Half<ReadHalf<Box<dyn Channel>>>, Half<WriteHalf<Box<dyn Channel>>>>;

const PATIENCE: Duration = Duration::from_secs(5);

/// How often a save under way is asked about.
const LOOK: Duration = Duration::from_millis(10);

async fn connect(address: &Address) -> io::Result<Stream> {
    let channel = address.connect().await?;
    QmpStreamTokio::open(channel).await?.negotiate().await
}

async fn in_time<T>(question: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, question)
        .await
        .unwrap_or_else(|_| {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "QEMU's monitor does not answer",
            ))
        })
}

/// The machine's own name for itself.
pub(super) async fn uuid(address: &Address) -> io::Result<String> {
    in_time(async {
        let mut stream = connect(address).await?;
        let answer = stream
            .execute(qmp::query_uuid {})
            .await
            .map_err(io::Error::other)?;
        Ok(answer.UUID)
    })
    .await
}

/// Has QEMU write the machine's whole state to `uri`. The machine is stopped at the end, by QEMU: one
/// that was stopped before would come back stopped.
pub(super) async fn save(address: &Address, uri: &str) -> io::Result<()> {
    let mut stream = in_time(connect(address)).await?;
    let failed = |error: qapi::ExecuteError| io::Error::other(error);
    let unlimited = qmp::MigrateSetParameters {
        max_bandwidth: Some(1 << 40),
        ..Default::default()
    };
    stream
        .execute(qmp::migrate_set_parameters::from(unlimited))
        .await
        .map_err(failed)?;
    let migrate = qmp::migrate {
        uri: Some(uri.to_owned()),
        channels: None,
        detach: None,
        resume: None,
    };
    stream.execute(migrate).await.map_err(failed)?;
    loop {
        let now = stream
            .execute(qmp::query_migrate {})
            .await
            .map_err(failed)?;
        match now.status {
            Some(MigrationStatus::completed) => return Ok(()),
            Some(MigrationStatus::failed | MigrationStatus::cancelled) => {
                return Err(io::Error::other(
                    now.error_desc.unwrap_or_else(|| "it failed".to_owned()),
                ));
            }
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Ends QEMU at once; disks are written out as far as the guest has flushed them.
pub(super) async fn quit(address: &Address) -> io::Result<()> {
    in_time(async {
        let mut stream = connect(address).await?;
        match stream.execute(qmp::quit {}).await {
            Ok(_) => Ok(()),
            // It may be gone before its answer is.
            Err(qapi::ExecuteError::Io(_)) => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        }
    })
    .await
}
