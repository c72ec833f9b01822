//! What the person chose, kept in `settings.json`.

use std::fs;
use std::io::{ErrorKind, Write};

use client::Home;
use client::wire::{Driver, Problem};
use serde::{Deserialize, Serialize};

use crate::problem::{Explain, file, problem};

/// The settings file. Fields that this version does not know are kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The driver of the last start that named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) driver: Option<Driver>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl Settings {
    /// Reads the settings; the defaults when there are none yet.
    pub(crate) fn load(home: &Home) -> Result<Self, Problem> {
        let path = home.settings_file();
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                problem(format!("{} is not understood", path.display()))
                    .because(error)
                    .hint("correct it, or delete it to go back to the defaults")
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(file("read", &path, &error)),
        }
    }

    /// Writes the settings; a crash leaves the old ones or the new ones.
    pub(crate) fn save(&self, home: &Home) -> Result<(), Problem> {
        let path = home.settings_file();
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| problem("cannot write the settings").because(error))?;
        replace(&path, &text).map_err(|error| file("write", &path, &error))
    }
}

/// Replaces a file's content in one step.
pub(crate) fn replace(path: &std::path::Path, content: &[u8]) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn unknown_settings_survive() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        fs::write(
            home.settings_file(),
            r#"{"driver":"native","theme":"dark"}"#,
        )
        .unwrap();
        let mut settings = Settings::load(&home).unwrap();
        assert_eq!(settings.driver, Some(Driver::Native));
        settings.driver = Some(Driver::Qemu);
        settings.save(&home).unwrap();
        let text = fs::read_to_string(home.settings_file()).unwrap();
        assert!(text.contains("dark") && text.contains("qemu"), "{text}");
    }

    #[test]
    fn broken_settings_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        fs::write(home.settings_file(), "{").unwrap();
        let problem = Settings::load(&home).unwrap_err();
        assert!(problem.message.contains("settings.json"), "{problem:?}");
    }
}
