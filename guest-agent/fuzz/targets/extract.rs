//! `docker cp` into files that attack, and volumes written out and read back: nothing outside the tree
//! may be touched, and what comes back must be what went out.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "that is how a finding shows itself"
)]

use std::cell::RefCell;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use arbitrary::Arbitrary;
use fuzz::archive::{Archive, Packing};
use fuzz::place::Place;
use fuzz::seeds;
use images::{Extract, Form, Packer, copy_tree, extract};
use libfuzzer_sys::fuzz_target;
use rustix::fs::{Mode, OFlags};

/// An archive longer than this is not looked at.
const LONGEST: usize = 16 << 20;

/// What is done.
#[derive(Debug, Arbitrary)]
struct Input {
    /// What makes the files.
    files: Archive,
    /// What is copied into them.
    archive: Archive,
    packing: Packing,
    directory: Directory,
    keep_kinds: bool,
    owner: Option<(u16, u16)>,
    whole: bool,
}

/// Where it is copied to.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Directory {
    Root,
    A,
    Deep,
    Missing,
}

thread_local! {
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

fuzz_target!(init: begin(), |input: Input| {
    PLACE.with_borrow(|place| {
        if let Some(place) = place {
            run(place, &input);
        }
    });
});

fn begin() {
    seeds::write(seeds::noise());
    PLACE.set(Some(Place::new()));
}

fn run(place: &Place, input: &Input) {
    let tree = open(&place.fresh("tree"));
    let everything = Extract {
        whole: true,
        ..Extract::default()
    };
    let _ = extract(input.files.plain().as_slice(), tree.as_fd(), &everything);
    let directory: &[u8] = match input.directory {
        Directory::Root => b"/",
        Directory::A => b"/a",
        Directory::Deep => b"/a/b/c",
        Directory::Missing => b"/nowhere/at/all",
    };
    let how = Extract {
        directory: directory.to_vec(),
        keep_kinds: input.keep_kinds,
        owner: input.owner.map(|(uid, gid)| (uid.into(), gid.into())),
        whole: input.whole,
    };
    let packed = input.packing.pack(&input.archive.plain());
    let _ = extract(packed.as_slice(), tree.as_fd(), &how);
    place.check();
    round_trip(place, &tree, &everything);
    place.check();
}

/// A backup, a restore and a clone.
fn round_trip(place: &Place, tree: &OwnedFd, everything: &Extract) {
    let Some(archive) = pack(tree) else { return };
    let restored = open(&place.fresh("restored"));
    extract(archive.as_slice(), restored.as_fd(), everything)
        .unwrap_or_else(|error| panic!("what was written out is not taken back: {error}"));
    let again = pack(&restored);
    assert!(
        again.as_ref() == Some(&archive),
        "what came back is not what went out"
    );
    let copied = open(&place.fresh("copied"));
    copy_tree(tree.as_fd(), copied.as_fd())
        .unwrap_or_else(|error| panic!("a copy can't be made: {error}"));
    assert!(
        pack(&copied).as_ref() == Some(&archive),
        "a copy is not what it was made of"
    );
}

/// The whole tree as an archive; nothing when that is long.
fn pack(tree: &OwnedFd) -> Option<Vec<u8>> {
    let mut archive = Vec::new();
    let mut packer = Packer::new(Form::Whole, |piece| {
        archive.extend_from_slice(&piece);
        archive.len() <= LONGEST
    });
    let packed = packer
        .directory(tree.as_fd(), b".")
        .and_then(|()| packer.finish());
    match packed {
        Ok(()) => Some(archive),
        Err(images::Error::Interrupted) => None,
        Err(error) => panic!("it can't be written out: {error}"),
    }
}

fn open(path: &Path) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).unwrap()
}
