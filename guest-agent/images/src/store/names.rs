//! From what a person types to an image.

use super::index::Snapshot;
use crate::{Digest, Error, Reference, Result};

/// Finds the image that `text` names: a reference, an id, or the start of one. A name wins over an
/// id, as with Docker.
pub(crate) fn resolve(index: &Snapshot, text: &str) -> Result<Digest> {
    let visible = |id: &Digest| index.images.get(id).is_some_and(|row| !row.hidden);
    if let Some(id) = full_id(text) {
        return if visible(&id) {
            Ok(id)
        } else {
            Err(Error::no_such_image(&id.to_string()))
        };
    }
    let reference = Reference::parse(text);
    if let Ok(reference) = &reference
        && let Some(id) = index.names.get(&lookup_key(reference))
        && visible(id)
    {
        return Ok(*id);
    }
    let prefix = text.strip_prefix("sha256:").unwrap_or(text);
    if !prefix.is_empty()
        && prefix
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    {
        let mut matching = index
            .images
            .keys()
            .filter(|id| visible(id) && id.hex().starts_with(prefix));
        match (matching.next(), matching.next()) {
            (Some(id), None) => return Ok(*id),
            (Some(_), Some(_)) => {
                return Err(Error::Invalid(format!(
                    "ambiguous image id {text}: more than one image starts with it; give more digits"
                )));
            }
            (None, _) => {}
        }
    }
    Err(Error::no_such_image(&reference?.familiar()))
}

/// Whether `text` is an id of this image or the start of one, and not a name.
pub(crate) fn is_id_of(id: &Digest, text: &str) -> bool {
    id.to_string().starts_with(text) || id.hex().starts_with(text)
}

/// The form that the index has: a digest makes the tag irrelevant.
pub(crate) fn lookup_key(reference: &Reference) -> String {
    match reference.digest() {
        Some(digest) => reference.with_digest(digest).to_string(),
        None => reference.to_string(),
    }
}

/// Every reference to an image, sorted.
pub(crate) fn references(index: &Snapshot, id: &Digest) -> Vec<Reference> {
    let names = index.named.get(id).into_iter().flatten();
    names
        .filter_map(|name| Reference::parse(name).ok())
        .collect()
}

fn full_id(text: &str) -> Option<Digest> {
    Digest::parse(text).ok().or_else(|| Digest::from_hex(text))
}
