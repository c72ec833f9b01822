//! The machine's console: a file that the machine writes and we read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Something that the kernel or the guest's first program says on the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// `slipway: step NAME MS`: this part of the start is done.
    Step(String),
    /// `slipway: failed WHY`: the guest gives up.
    Failed(String),
    /// The kernel panicked.
    Panicked(String),
}

/// Reads one line of the console.
pub(crate) fn parse(line: &str) -> Option<Said> {
    if let Some((_, why)) = line.split_once("Kernel panic - not syncing: ") {
        return Some(Said::Panicked(why.trim().to_owned()));
    }
    // The kernel may have printed on the same line before.
    let said = &line[line.find("slipway: ")? + "slipway: ".len()..];
    if let Some(step) = said.strip_prefix("step ") {
        return Some(Said::Step(step.split_whitespace().next()?.to_owned()));
    }
    Some(Said::Failed(
        said.strip_prefix("failed ")?.trim().to_owned(),
    ))
}

/// Follows the console's file as it grows.
#[derive(Debug)]
pub(crate) struct Console {
    path: PathBuf,
    offset: u64,
    partial: Vec<u8>,
}

impl Console {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            offset: 0,
            partial: Vec::new(),
        }
    }

    /// Whole lines that are new, and whether anything is new.
    pub(crate) fn read(&mut self) -> io::Result<(Vec<String>, bool)> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Vec::new(), false));
            }
            Err(error) => return Err(error),
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut new = Vec::new();
        file.read_to_end(&mut new)?;
        self.offset += new.len() as u64;
        self.partial.extend_from_slice(&new);
        let mut lines = Vec::new();
        while let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        Ok((lines, !new.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_warden_s_lines_are_found() {
        let step = |name: &str| Some(Said::Step(name.to_owned()));
        assert_eq!(parse("slipway: step linux 812"), step("linux"));
        assert_eq!(
            parse("[    1.5] random: slipway: step storage 9"),
            step("storage")
        );
        assert_eq!(
            parse("slipway: failed no data disk at /dev/vda"),
            Some(Said::Failed("no data disk at /dev/vda".to_owned()))
        );
        assert_eq!(
            parse("[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs"),
            Some(Said::Panicked("VFS: Unable to mount root fs".to_owned()))
        );
        assert_eq!(parse("slipway: step"), None);
        assert_eq!(parse("Linux version 6.12"), None);
    }

    #[test]
    fn lines_come_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("console.log");
        let mut console = Console::new(&path);
        assert_eq!(console.read().unwrap(), (vec![], false));
        std::fs::write(&path, "one\r\ntw").unwrap();
        assert_eq!(console.read().unwrap(), (vec!["one".to_owned()], true));
        std::fs::write(&path, "one\r\ntwo\n").unwrap();
        assert_eq!(console.read().unwrap(), (vec!["two".to_owned()], true));
        assert_eq!(console.read().unwrap(), (vec![], false));
    }
}
