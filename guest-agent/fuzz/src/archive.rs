//! Archives that no honest program writes, in form well enough made that a reader gets to what they
//! say: names that climb, links that lead out, whiteouts of everything, sizes that lie.

mod header;

use std::io::Write as _;

use arbitrary::{Arbitrary, Result, Unstructured};

use header::Header;

/// So many entries at most: what goes wrong does so with a few.
const MOST: usize = 24;

/// An archive.
#[derive(Debug)]
pub struct Archive {
    members: Vec<Member>,
    /// Two blocks of zeros.
    ended: bool,
    /// Bytes behind the end.
    rest: Vec<u8>,
}

/// How the archive comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub enum Packing {
    /// As it is.
    Plain,
    /// Gzip, in one member or two.
    Gzip(bool),
    /// Zstandard, in one frame or two.
    Zstd(bool),
}

/// One entry.
#[derive(Debug)]
struct Member {
    name: Vec<u8>,
    kind: Kind,
    header: Header,
}

#[derive(Debug)]
enum Kind {
    File(Vec<u8>),
    Directory,
    Symlink(Vec<u8>),
    HardLink(Vec<u8>),
    Device(u8, u32, u32),
    /// A sparse file's regions and size; the content is as long as the regions say, up to a limit.
    Sparse(Vec<(u64, u64)>, u64),
    /// Whatever type, with content.
    Other(u8, Vec<u8>),
}

impl<'a> Arbitrary<'a> for Archive {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut members = Vec::new();
        while members.len() < MOST && !u.is_empty() && !u.ratio(1, 12)? {
            members.push(Member {
                name: path(u)?,
                kind: kind(u)?,
                header: Header::arbitrary(u)?,
            });
        }
        Ok(Self {
            members,
            ended: !u.ratio(1, 8)?,
            rest: if u.ratio(1, 16)? {
                u.arbitrary()?
            } else {
                Vec::new()
            },
        })
    }
}

impl Archive {
    /// The plain archive.
    #[must_use]
    pub fn plain(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for member in &self.members {
            member.write(&mut out);
        }
        if self.ended {
            out.resize(out.len() + 1024, 0);
        }
        out.extend_from_slice(&self.rest);
        out
    }
}

impl Packing {
    /// Packs bytes.
    #[must_use]
    pub fn pack(self, bytes: &[u8]) -> Vec<u8> {
        let (first, second) = match self {
            Self::Plain => return bytes.to_vec(),
            Self::Gzip(false) | Self::Zstd(false) => (bytes, None),
            Self::Gzip(true) | Self::Zstd(true) => {
                let (first, second) = bytes.split_at(bytes.len() / 2);
                (first, Some(second))
            }
        };
        let mut out = Vec::new();
        for part in [Some(first), second].into_iter().flatten() {
            if let Self::Gzip(_) = self {
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::GzEncoder::new(&mut out, level);
                encoder.write_all(part).unwrap();
                encoder.finish().unwrap();
            } else {
                out.extend(zstd::encode_all(part, 1).unwrap());
            }
        }
        out
    }
}

impl Member {
    fn write(&self, out: &mut Vec<u8>) {
        let none = Vec::new();
        let (kind, target, content, device) = match &self.kind {
            Kind::File(content) => (b'0', &none, content.clone(), (0, 0)),
            Kind::Directory => (b'5', &none, Vec::new(), (0, 0)),
            Kind::Symlink(target) => (b'2', target, Vec::new(), (0, 0)),
            Kind::HardLink(target) => (b'1', target, Vec::new(), (0, 0)),
            Kind::Device(kind, major, minor) => (*kind, &none, Vec::new(), (*major, *minor)),
            Kind::Sparse(regions, _) => (b'0', &none, sparse_content(regions), (0, 0)),
            Kind::Other(kind, content) => (*kind, &none, content.clone(), (0, 0)),
        };
        let sparse = match &self.kind {
            Kind::Sparse(_, size) => Some(*size),
            _ => None,
        };
        let entry = header::Entry {
            kind,
            name: &self.name,
            target,
            size: content.len() as u64,
            device,
            sparse,
        };
        self.header.write(&entry, out);
        out.extend_from_slice(&content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
}

/// GNU's form 1.0: the map stands in front of the content.
fn sparse_content(regions: &[(u64, u64)]) -> Vec<u8> {
    /// What is held of all regions together: longer ones are cut off.
    const HELD: u64 = 4096;
    let mut content = format!("{}\n", regions.len()).into_bytes();
    let mut held = 0_u64;
    for (offset, length) in regions {
        content.extend_from_slice(format!("{offset}\n{length}\n").as_bytes());
        held = held.saturating_add(*length).min(HELD);
    }
    content.resize(content.len().next_multiple_of(512), 0);
    let end = content.len() + usize::try_from(held).unwrap();
    content.resize(end, b's');
    content
}

fn kind(u: &mut Unstructured<'_>) -> Result<Kind> {
    Ok(match u.int_in_range(0..=15)? {
        0..=3 => Kind::File(content(u)?),
        4..=6 => Kind::Directory,
        7..=9 => Kind::Symlink(path(u)?),
        10 | 11 => Kind::HardLink(path(u)?),
        12 => {
            let kind = *u.choose(b"346")?;
            let number = |u: &mut Unstructured<'_>| Ok(u32::from(u.arbitrary::<u8>()?));
            Kind::Device(kind, number(u)?, number(u)?)
        }
        13 => {
            let mut regions = Vec::new();
            for _ in 0..u.int_in_range(0..=4)? {
                regions.push((size(u)?, size(u)?));
            }
            Kind::Sparse(regions, size(u)?)
        }
        14 => Kind::Other(u.arbitrary()?, content(u)?),
        _ => Kind::File(vec![b'x'; u.int_in_range(0..=70_000)?]),
    })
}

fn content(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let length = u.int_in_range(0..=64)?;
    Ok(u.bytes(length.min(u.len()))?.to_vec())
}

/// Mostly small, or at an edge.
fn size(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.int_in_range(0..=7)? {
        0..=5 => u.arbitrary::<u16>()?.into(),
        6 => u.arbitrary::<u32>()?.into(),
        _ => u64::MAX >> u.int_in_range(0..=8)?,
    })
}

/// Few different names, so that entries meet each other.
fn path(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    const PARTS: [&str; 22] = [
        "a",
        "b",
        "c",
        "d",
        "a",
        "b",
        "c",
        "..",
        ".",
        "",
        ".wh.a",
        ".wh.b",
        ".wh..wh..opq",
        ".wh..wh.plnk",
        ".wh.",
        ".wh...",
        "proc",
        "self",
        "root",
        "beside",
        "secret",
        "directory",
    ];
    if u.ratio(1, 16)? {
        let outside = ["secret", "directory", "directory/file", "link", "new"];
        let top = std::env::temp_dir().join("slipway-fuzz/beside");
        let path = top.join(u.choose(&outside)?);
        return Ok(path.into_os_string().into_encoded_bytes());
    }
    let mut path = Vec::new();
    if u.ratio(1, 8)? {
        path.push(b'/');
    }
    let depth = if u.ratio(1, 24)? { 40 } else { 4 };
    for at in 0..u.int_in_range(1..=depth)? {
        if at > 0 {
            path.push(b'/');
        }
        match u.int_in_range(0..=31)? {
            0 => path.extend(u.arbitrary::<[u8; 3]>()?),
            1 => path.resize(path.len() + usize::from(u.arbitrary::<u8>()?) + 1, b'l'),
            _ => path.extend_from_slice(u.choose(&PARTS)?.as_bytes()),
        }
    }
    if u.ratio(1, 8)? {
        path.push(b'/');
    }
    Ok(path)
}
