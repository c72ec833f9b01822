//! One layer from its blob: decompressed, hashed and unpacked in one pass.

use std::io::Read;
use std::path::PathBuf;

use crate::store::Stage;
use crate::stream::{Decompressed, Tee};
use crate::unpack::unpack;
use crate::{Digest, Error, Result};

/// A layer that lies unpacked in a stage, verified against its diff id.
pub(crate) struct Unpacked {
    /// The directory.
    pub(crate) tree: PathBuf,
    /// Sum of the files' sizes.
    pub(crate) size: u64,
}

/// Unpacks the blob that `source` yields into `stage`, reads `source` to its end, checks the
/// content's digest, and returns the source for the caller's own check.
pub(crate) fn unpack_layer<R: Read>(
    source: R,
    diff_id: &Digest,
    stage: &Stage,
) -> Result<(Unpacked, R)> {
    let tree = stage.path().join("tree");
    std::fs::create_dir(&tree).map_err(Error::io("create", &tree))?;
    let mut content = Tee::new(Decompressed::new(source)?);
    let size = unpack(&mut content, &tree)?;
    let (decompressed, digest, _) = content.finish();
    if digest != *diff_id {
        return Err(Error::invalid(format!(
            "layer verification failed: the image config promises diff id {diff_id}, the layer has {digest}"
        )));
    }
    Ok((Unpacked { tree, size }, decompressed.into_source()?))
}
