//! Headers: ustar, GNU's and POSIX's ways to say more than fits, and numbers that are not true.

use arbitrary::{Arbitrary, Result, Unstructured};

/// What a header says besides what the entry is.
#[derive(Debug)]
pub(super) struct Header {
    mode: u32,
    owner: (u64, u64),
    mtime: u64,
    long: Long,
    /// Records of a PAX header.
    records: Vec<(Vec<u8>, Vec<u8>)>,
    /// A size that is not the content's.
    lie: Option<u64>,
    /// A global header in front.
    global: bool,
}

/// How names are written that don't fit.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Long {
    Gnu,
    Pax,
    /// Cut off.
    Cut,
}

/// What the header is of.
pub(super) struct Entry<'a> {
    pub(super) kind: u8,
    pub(super) name: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) size: u64,
    pub(super) device: (u32, u32),
    pub(super) sparse: Option<u64>,
}

const BLOCK: usize = 512;
const NAME: usize = 100;
const ORDINARY: u32 = 0o755;

impl<'a> Arbitrary<'a> for Header {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        if u.ratio(1, 2)? {
            return Ok(Self {
                mode: ORDINARY,
                owner: (0, 0),
                mtime: 1_700_000_000,
                long: Long::Pax,
                records: Vec::new(),
                lie: None,
                global: false,
            });
        }
        let mut records = Vec::new();
        for _ in 0..u.int_in_range(0..=2)? {
            records.push(record(u)?);
        }
        Ok(Self {
            mode: u.arbitrary::<u16>()?.into(),
            owner: (number(u)?, number(u)?),
            mtime: number(u)?,
            long: u.arbitrary()?,
            records,
            lie: u.ratio(1, 24)?.then(|| number(u)).transpose()?,
            global: u.ratio(1, 24)?,
        })
    }
}

impl Header {
    pub(super) fn write(&self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        let mut records = self.records.clone();
        if let Some(size) = entry.sparse {
            let mut add = |key: &str, value: &[u8]| records.push((key.into(), value.to_vec()));
            add("GNU.sparse.major", b"1");
            add("GNU.sparse.minor", b"0");
            add("GNU.sparse.name", entry.name);
            add("GNU.sparse.realsize", size.to_string().as_bytes());
        }
        for (field, gnu, pax) in [(entry.name, b'L', "path"), (entry.target, b'K', "linkpath")] {
            match self.long {
                Long::Gnu if field.len() > NAME => {
                    let content = [field, b"\0"].concat();
                    block(gnu, b"././@LongLink", &[], content.len() as u64, self, out);
                    padded(&content, out);
                }
                Long::Pax if field.len() > NAME => records.push((pax.into(), field.to_vec())),
                _ => {}
            }
        }
        if self.global {
            let content = encode(&[(b"comment".to_vec(), b"everybody".to_vec())]);
            block(b'g', b"global", &[], content.len() as u64, self, out);
            padded(&content, out);
        }
        if !records.is_empty() {
            let content = encode(&records);
            block(b'x', b"more", &[], content.len() as u64, self, out);
            padded(&content, out);
        }
        let size = self.lie.unwrap_or(entry.size);
        let start = out.len();
        block(entry.kind, entry.name, entry.target, size, self, out);
        let header = &mut out[start..];
        octal(&mut header[329..337], entry.device.0.into());
        octal(&mut header[337..345], entry.device.1.into());
        checksum(header);
    }
}

fn block(kind: u8, name: &[u8], target: &[u8], size: u64, more: &Header, out: &mut Vec<u8>) {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| {
        let length = text.len().min(NAME);
        header[at..at + length].copy_from_slice(&text[..length]);
    };
    put(0, name);
    put(157, target);
    put(257, b"ustar\x0000");
    header[156] = kind;
    octal(&mut header[100..108], more.mode.into());
    octal(&mut header[108..116], more.owner.0);
    octal(&mut header[116..124], more.owner.1);
    octal(&mut header[124..136], size);
    octal(&mut header[136..148], more.mtime);
    checksum(&mut header);
    out.extend_from_slice(&header);
}

fn padded(content: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
}

/// Octal digits and an end, or the number itself where it doesn't fit.
fn octal(field: &mut [u8], number: u64) {
    let digits = field.len() - 1;
    let text = format!("{number:0digits$o}");
    if text.len() == digits {
        field[..digits].copy_from_slice(text.as_bytes());
        return;
    }
    field.fill(0);
    let bytes = number.to_be_bytes();
    let room = field.len().min(bytes.len());
    let start = field.len() - room;
    field[start..].copy_from_slice(&bytes[bytes.len() - room..]);
    field[0] |= 0x80;
}

fn checksum(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut header[148..155], sum);
}

fn encode(records: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length += 1;
        }
        out.extend_from_slice(format!("{length} ").as_bytes());
        out.extend_from_slice(key);
        out.push(b'=');
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out
}

fn record(u: &mut Unstructured<'_>) -> Result<(Vec<u8>, Vec<u8>)> {
    const KEYS: [&str; 20] = [
        "path",
        "linkpath",
        "size",
        "uid",
        "gid",
        "mtime",
        "atime",
        "uname",
        "hdrcharset",
        "SCHILY.xattr.user.a",
        "SCHILY.xattr.user.overlay.opaque",
        "SCHILY.xattr.trusted.overlay.opaque",
        "SCHILY.xattr.trusted.overlay.redirect",
        "SCHILY.xattr.security.capability",
        "SCHILY.xattr.system.posix_acl_access",
        "SCHILY.xattr.system.posix_acl_default",
        "GNU.sparse.major",
        "GNU.sparse.realsize",
        "GNU.sparse.map",
        "GNU.sparse.numblocks",
    ];
    const VALUES: [&[u8]; 12] = [
        b"0",
        b"1",
        b"-1.5",
        b"1700000000.123456789",
        b"18446744073709551615",
        b"../../beside/secret",
        b"/",
        b"a/b",
        b"y",
        b"0,1,5,18446744073709551615",
        // The capability to bind low ports, version 2.
        b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        // An access list of the three usual entries.
        b"\x02\0\0\0\x01\0\x07\0\xff\xff\xff\xff\x04\0\x05\0\xff\xff\xff\xff\x20\0\x05\0\xff\xff\xff\xff",
    ];
    let key = u.choose(&KEYS)?.as_bytes().to_vec();
    let value = if u.ratio(1, 5)? {
        let length = u.int_in_range(0..=40)?;
        u.bytes(length.min(u.len()))?.to_vec()
    } else {
        u.choose(&VALUES)?.to_vec()
    };
    Ok((key, value))
}

fn number(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.int_in_range(0..=7)? {
        0..=4 => u.arbitrary::<u16>()?.into(),
        5 => u.arbitrary::<u32>()?.into(),
        6 => u64::MAX >> u.int_in_range(0..=33)?,
        _ => 0,
    })
}
