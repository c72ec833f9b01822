//! `docker import`: an archive of files becomes an image of one layer.

use std::sync::Arc;

use tokio::io::AsyncRead;

use crate::layer::take_plain;
use crate::store::versions::Origin;
use crate::store::{Import, Inner, NewImage};
use crate::stream::{Decompressed, Fed, feed, feed_from};
use crate::{Digest, Error, Reference, Result};

/// See [`crate::Store::import`].
pub(crate) async fn import(
    store: Arc<Inner>,
    archive: impl AsyncRead + Send + Unpin,
    name: Option<Reference>,
    origin: Origin,
    describe: impl FnOnce(Digest) -> Result<Vec<u8>> + Send + 'static,
) -> Result<Digest> {
    let (feeder, fed) = feed();
    let work = tokio::task::spawn_blocking(move || take_in(store, fed, name, &origin, describe));
    let (fed, done) = tokio::join!(feed_from(archive, feeder), work);
    let done = done.map_err(|_| Error::Interrupted)?;
    fed?;
    done
}

fn take_in(
    store: Arc<Inner>,
    archive: Fed,
    name: Option<Reference>,
    origin: &Origin,
    describe: impl FnOnce(Digest) -> Result<Vec<u8>>,
) -> Result<Digest> {
    let import = Import::new(store);
    let stage = import.store().files.stage()?;
    let taken = take_plain(Decompressed::new(archive)?, &stage)?.whole()?;
    if !import.hold(&taken.diff_id) {
        import.publish(&taken.diff_id, &taken.tree, &taken.blob, &taken.row)?;
    }
    let config = describe(taken.diff_id)?;
    let id = Digest::of(&config);
    let image = NewImage {
        config,
        names: name.into_iter().collect(),
        ..NewImage::default()
    };
    import.commit(vec![image], origin)?;
    Ok(id)
}
