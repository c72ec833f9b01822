//! The `newc` cpio archive that the kernel unpacks as its first root
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use anyhow::{Context, Result};

use super::tree::{Node, Tree};

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// Writes the archive: owner root, no times, inode numbers in path order.
pub(crate) fn archive(tree: &Tree) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for (inode, (path, node)) in tree.entries().enumerate() {
        let (mode, links, bytes) = match node {
            Node::Directory(mode) => (DIRECTORY | mode, 2, &[][..]),
            Node::File(bytes, mode) => (FILE | mode, 1, bytes.as_slice()),
            Node::Link(target) => (LINK | 0o777, 1, target.as_bytes()),
        };
        let inode = u32::try_from(inode + 1).context("numbering the archive's files")?;
        entry(&mut out, path, inode, mode, links, bytes)?;
    }
    entry(&mut out, "TRAILER!!!", 0, 0, 1, &[])?;
    Ok(out)
}

fn entry(
    out: &mut Vec<u8>,
    path: &str,
    inode: u32,
    mode: u32,
    links: u32,
    bytes: &[u8],
) -> Result<()> {
    let size = u32::try_from(bytes.len())
        .with_context(|| format!("{path} is too large for an initramfs"))?;
    let name_size =
        u32::try_from(path.len() + 1).with_context(|| format!("the name {path} is too long"))?;
    let [uid, gid, time, device, check] = [0; 5];
    out.extend_from_slice(b"070701");
    // Devices (major, minor) come twice: the one that holds the file, and the one that it is.
    for field in [
        inode, mode, uid, gid, links, time, size, device, device, device, device, name_size, check,
    ] {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(bytes);
    pad(out);
    Ok(())
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_aligned_entries_and_a_trailer() {
        let mut tree = Tree::default();
        tree.file("init", b"abc".to_vec(), 0o755);
        let bytes = archive(&tree).unwrap();
        assert_eq!(&bytes[..14], b"07070100000001");
        assert_eq!(&bytes[14..22], b"000081ed");
        // The header's 110 bytes and the name's 5, padded to 116, then the contents.
        assert_eq!(&bytes[116..120], b"abc\0");
        assert_eq!(&bytes[120..126], b"070701");
        assert!(bytes.len().is_multiple_of(4));
        assert!(bytes.windows(10).any(|window| window == b"TRAILER!!!"));
    }
}
