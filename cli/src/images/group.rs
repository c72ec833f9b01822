//! `slipway image`: the verbs for images, under docker's names and our own.

use clap::Subcommand;

use super::{
    changes, history, import, list, load, look, prune, pull, push, registries, remove, save, tag,
    versions,
};
use crate::app::App;
use crate::containers::inspect;
use crate::failure::Failure;

/// `slipway image`.
#[derive(Debug, Subcommand)]
pub(crate) enum Image {
    /// List images
    #[command(visible_alias = "list")]
    Ls(list::Images),
    /// Get an image from a registry
    Pull(pull::Pull),
    /// Send an image to a registry
    Push(push::Push),
    /// Remove images
    #[command(visible_alias = "remove")]
    Rm(remove::Rmi),
    /// Give an image another name
    Tag(tag::Tag),
    /// Read images from an archive
    Load(load::Load),
    /// Write images to an archive
    Save(save::Save),
    /// Make an image of an archive of files
    Import(import::Import),
    /// Show the steps that an image was made in
    History(history::History),
    /// Print all that is known of images, as JSON
    Inspect(inspect::Inspect),
    /// Remove images that nothing needs
    Prune(prune::Prune),
    /// Show what a name has stood for, and how it came to it
    Log(versions::Log),
    /// Give a name back to an image that it stood for
    Rollback(versions::Rollback),
    /// Show or set how many earlier images pruning keeps
    Retention(versions::Retention),
    /// Show what is different between two images
    Diff(changes::Diff),
    /// List an image's layers
    Layers(look::Layers),
    /// List the files of an image or of one of its layers
    Tree(look::Tree),
    /// Print a file of an image
    Cat(look::Cat),
    /// Find files that an image carries for nothing
    Waste(look::Waste),
    /// Show or set mirrors, insecure registries, proxies and authorities
    Registries(registries::Registries),
}

impl Image {
    /// Does it.
    pub(crate) async fn act(self, app: &App) -> Result<(), Failure> {
        match self {
            Self::Ls(verb) => verb.act(app).await,
            Self::Pull(verb) => verb.act(app).await,
            Self::Push(verb) => verb.act(app).await,
            Self::Rm(verb) => verb.act(app).await,
            Self::Tag(verb) => verb.act(app).await,
            Self::Load(verb) => verb.act(app).await,
            Self::Save(verb) => verb.act(app).await,
            Self::Import(verb) => verb.act(app).await,
            Self::History(verb) => verb.act(app).await,
            Self::Inspect(verb) => verb.act(app).await,
            Self::Prune(verb) => verb.act(app).await,
            Self::Log(verb) => verb.act(app).await,
            Self::Rollback(verb) => verb.act(app).await,
            Self::Retention(verb) => verb.act(app).await,
            Self::Diff(verb) => verb.act(app).await,
            Self::Layers(verb) => verb.act(app).await,
            Self::Tree(verb) => verb.act(app).await,
            Self::Cat(verb) => verb.act(app).await,
            Self::Waste(verb) => verb.act(app).await,
            Self::Registries(verb) => verb.act(app).await,
        }
    }
}
