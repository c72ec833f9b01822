//! Reads the list of images.

use bollard::Docker;
use bollard::query_parameters::ListImagesOptions;

use crate::view::{ImageRow, Problem};

pub(super) async fn read(docker: &Docker) -> Result<Vec<ImageRow>, Problem> {
    let images = docker.list_images(None::<ListImagesOptions>).await?;
    Ok(images
        .into_iter()
        .map(|image| ImageRow {
            id: image.id,
            tags: real(image.repo_tags, "<none>:<none>"),
            digests: real(image.repo_digests, "<none>@<none>"),
            created: image.created,
            size: image.size,
        })
        .collect())
}

/// Older engines name nothing with a placeholder.
fn real(names: Vec<String>, placeholder: &str) -> Vec<String> {
    names
        .into_iter()
        .filter(|name| name != placeholder)
        .collect()
}
