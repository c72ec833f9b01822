//! `slipway volume backup`.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::meter::Meter;
use super::{own, warn_of};
use crate::app::App;
use crate::engine::Query;
use crate::failure::Failure;
use crate::format::size;
use crate::images::save;
use crate::output;

const ABOUT: &str = "x-slipway-backup";

/// `slipway volume backup`.
#[derive(Debug, Args)]
#[command(after_help = "\
The archive holds owners, modes, attributes, links, holes and times; any tar that knows zstd reads
it: tar --zstd --xattrs -xpf FILE.

Examples:
  slipway volume backup db --pause
  slipway volume backup db -o - | ssh backup@example 'cat > db.tar.zst'")]
pub(crate) struct Backup {
    /// Write this file, or standard output for -; VOLUME.tar.zst if nothing is said
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Pause the containers that use it while it is read
    #[arg(long)]
    pause: bool,
    /// Its name
    #[arg(value_name = "VOLUME")]
    volume: String,
}

impl Backup {
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        let file = self.file()?;
        if file.is_none() && output::out_is_terminal() {
            return Err(Failure::usage("an archive is nothing for a terminal")
                .hint("name a file with -o FILE, or redirect"));
        }
        let engine = app.engine().await?;
        let query = Query::new().flag("pause", self.pause);
        let answer = engine.open(&own(&self.volume, "backup"), &query).await?;
        let about = answer.headers().get(ABOUT);
        let about: Value = about
            .and_then(|about| serde_json::from_slice(about.as_bytes()).ok())
            .unwrap_or_default();
        warn_of(&about["Writers"], "--pause");
        let meter = Meter::new("Backed up so far:");
        let body = answer.into_body();
        let written = save::write_seen(body, file.as_deref(), |bytes| meter.add(bytes)).await;
        let archive = meter.finish();
        written?;
        let bytes = about["Bytes"].as_u64().unwrap_or(0);
        let target = file
            .as_deref()
            .map_or("standard output".into(), Path::to_string_lossy);
        if app.json && file.is_some() {
            output::json(&json!({
                "volume": self.volume, "file": target, "bytes": bytes,
                "archive_bytes": archive, "paused": about["Paused"],
            }));
        } else {
            output::note(&format!(
                "Backed up {} of the volume {} to {target} ({})",
                size::decimal3(bytes),
                self.volume,
                size::decimal3(archive)
            ));
        }
        Ok(())
    }

    /// Where it goes; nothing for standard output. Only a name that was given is written over.
    fn file(&self) -> Result<Option<PathBuf>, Failure> {
        match &self.output {
            Some(path) if path == Path::new("-") => Ok(None),
            Some(path) => Ok(Some(path.clone())),
            None => {
                let path = PathBuf::from(format!("{}.tar.zst", self.volume));
                if path.exists() {
                    return Err(
                        Failure::new(format!("{} is there already", path.display())).hint(format!(
                            "give another name, or -o {} to replace it",
                            path.display()
                        )),
                    );
                }
                Ok(Some(path))
            }
        }
    }
}
