//! The image archives that came with the machine.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{Engine, Error};

impl Engine {
    /// Loads the archives that came with the machine, each once: a marker keeps an image that
    /// was removed from coming back.
    pub(crate) async fn load_bundled_images(self: &Arc<Self>) {
        let Some(dir) = self.options.bundled_images.clone() else {
            return;
        };
        let Ok(entries) = std::fs::read_dir(&dir) else {
            return;
        };
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "tar")
                && let Err(error) = self.load_bundled(&path).await
            {
                tracing::error!(%error, path = %path.display(), "loading a bundled image failed");
            }
        }
    }

    async fn load_bundled(self: &Arc<Self>, path: &Path) -> Result<(), Error> {
        let failed = |e| Error::file("reading", path, e);
        let meta = std::fs::metadata(path).map_err(failed)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A new version of the machine brings a new archive, which has another size or time.
        let modified = meta
            .modified()
            .ok()
            .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(0, |d| d.as_secs());
        let markers = self.options.root.join("bundled");
        let marker = markers.join(format!("{name}-{}-{modified}", meta.len()));
        if marker.exists() {
            return Ok(());
        }
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        let (progress, mut ignored) = mpsc::channel(16);
        tokio::spawn(async move { while ignored.recv().await.is_some() {} });
        let loaded = self
            .load_images(file, images::LoadOptions::default(), progress)
            .await?;
        std::fs::create_dir_all(&markers).map_err(|e| Error::file("creating", &markers, e))?;
        crate::state_file::write(&marker, b"")?;
        for image in loaded {
            tracing::info!(%image, "bundled image");
        }
        Ok(())
    }
}
