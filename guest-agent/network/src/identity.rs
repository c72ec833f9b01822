//! What stays the same about the network for the life of the state directory: its id, its
//! addresses and when it was made.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Subnet};

/// The file `network.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) id: String,
    pub(crate) subnet: Subnet,
    pub(crate) created: String,
}

impl Identity {
    /// A new one.
    pub(crate) fn new(subnet: Subnet) -> Result<Self, Error> {
        Ok(Self {
            id: random_id()?,
            subnet,
            created: jiff::Timestamp::now().to_string(),
        })
    }

    /// Reads the file; `None` when it isn't there or makes no sense, which costs no more than a
    /// new id.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, Error> {
        let path = directory.join("network.json");
        match fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)
                .inspect_err(|error| {
                    tracing::warn!(path = %path.display(), %error, "starting the network's file anew");
                })
                .ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read", &path)(error)),
        }
    }

    /// Writes the file: a crash leaves the old one or the new one.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), Error> {
        fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
        let path = directory.join("network.json");
        let draft = directory.join("network.json.new");
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(io::Error::from)
            .map_err(Error::file("write", &path))?;
        let mut file = File::create(&draft).map_err(Error::file("create", &draft))?;
        file.write_all(&bytes)
            .and_then(|()| file.sync_all())
            .map_err(Error::file("write", &draft))?;
        fs::rename(&draft, &path).map_err(Error::file("write", &path))?;
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(Error::file("write", directory))
    }
}

/// 64 random hexadecimal digits.
pub(crate) fn random_id() -> Result<String, Error> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| io::Error::other(error.to_string()))
        .map_err(Error::file("read", "the kernel's random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn identity_survives_a_restart_and_a_torn_file_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Identity::read(home.path()).unwrap(), None);
        let identity = Identity::new("172.17.0.0/16".parse().unwrap()).unwrap();
        assert_eq!(identity.id.len(), 64);
        identity.write(home.path()).unwrap();
        assert_eq!(Identity::read(home.path()).unwrap(), Some(identity));
        fs::write(home.path().join("network.json"), "{").unwrap();
        assert_eq!(Identity::read(home.path()).unwrap(), None);
    }
}
