//! The little of ELF that building an image needs: sections by name, the libraries that a program
//! asks for, its loader. 64-bit little-endian files only, found through their section headers.

use anyhow::{Result, anyhow, bail};

/// What a dynamically linked program asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dynamic {
    /// File names of shared libraries (`DT_NEEDED`).
    pub(crate) needed: Vec<String>,
    /// The loader's path (`.interp`).
    pub(crate) interpreter: Option<String>,
}

/// Whether the bytes begin like a 64-bit little-endian ELF file.
pub(crate) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF\x02\x01")
}

/// The bytes of a section, if the file has it.
pub(crate) fn section<'a>(bytes: &'a [u8], name: &str) -> Result<Option<&'a [u8]>> {
    if !is_elf(bytes) {
        bail!("not a 64-bit little-endian ELF file");
    }
    let table = number(bytes, 0x28, 8)?;
    let entry_size = number(bytes, 0x3a, 2)?;
    let count = number(bytes, 0x3c, 2)?;
    let names_index = number(bytes, 0x3e, 2)?;
    let header = |index: usize| table + index * entry_size;
    let contents = |index: usize| -> Result<&'a [u8]> {
        let at = header(index);
        let (offset, size) = (number(bytes, at + 0x18, 8)?, number(bytes, at + 0x20, 8)?);
        offset
            .checked_add(size)
            .and_then(|end| bytes.get(offset..end))
            .ok_or_else(|| anyhow!("an ELF section lies outside the file"))
    };
    let names = contents(names_index)?;
    for index in 0..count {
        if text(names, number(bytes, header(index), 4)?)? == name {
            return contents(index).map(Some);
        }
    }
    Ok(None)
}

/// Reads a program's or a library's dynamic section; a static program asks for nothing.
pub(crate) fn dynamic(bytes: &[u8]) -> Result<Dynamic> {
    const DT_NEEDED: usize = 1;
    let mut found = Dynamic::default();
    if let Some(path) = section(bytes, ".interp")? {
        found.interpreter = Some(text(path, 0)?.to_owned());
    }
    let (Some(table), Some(strings)) = (section(bytes, ".dynamic")?, section(bytes, ".dynstr")?)
    else {
        return Ok(found);
    };
    for entry in 0..table.len() / 16 {
        if number(table, entry * 16, 8)? == DT_NEEDED {
            found
                .needed
                .push(text(strings, number(table, entry * 16 + 8, 8)?)?.to_owned());
        }
    }
    Ok(found)
}

fn number(bytes: &[u8], at: usize, width: usize) -> Result<usize> {
    let slice = bytes
        .get(at..at + width)
        .ok_or_else(|| anyhow!("an ELF header is cut short"))?;
    let value = slice
        .iter()
        .rev()
        .fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    Ok(usize::try_from(value)?)
}

fn text(bytes: &[u8], at: usize) -> Result<&str> {
    let rest = bytes
        .get(at..)
        .ok_or_else(|| anyhow!("an ELF string lies outside its table"))?;
    let end = rest
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(rest.len());
    Ok(std::str::from_utf8(&rest[..end])?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn reads_a_dynamic_program() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        if is_elf(&this) {
            let found = dynamic(&this).unwrap();
            assert!(
                found.needed.iter().any(|name| name.starts_with("libc.so")),
                "{found:?}"
            );
            assert!(found.interpreter.is_some());
        }
    }

    #[test]
    fn refuses_what_is_no_elf_or_is_cut_short() {
        assert!(section(b"#!/bin/sh\n", ".text").is_err());
        assert!(section(b"\x7fELF\x02\x01 short", ".text").is_err());
    }
}
