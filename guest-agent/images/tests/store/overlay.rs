//! The layers under a real overlay mount: what a container sees.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::fixture::{Place, Tar, TestImage, docker_archive};

/// An overlay of an image's layers, read-only; taken down when dropped.
struct Overlay(tempfile::TempDir);

impl Overlay {
    fn mount(layers: &[PathBuf]) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let lower: Vec<&[u8]> = layers
            .iter()
            .map(|layer| layer.as_os_str().as_bytes())
            .collect();
        let options = [b"lowerdir=", lower.join(&b':').as_slice()].concat();
        let options = std::ffi::CString::new(options).unwrap();
        match mount(
            "overlay",
            home.path(),
            "overlay",
            MountFlags::RDONLY,
            options.as_c_str(),
        ) {
            Ok(()) => Some(Self(home)),
            Err(errno) => {
                tests::steps::unable(&format!("cannot mount an overlay: {errno}"));
                None
            }
        }
    }

    fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.path().join(directory)).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

#[tokio::test]
async fn whiteouts_and_opaque_directories_hide_what_is_below() {
    let bottom = Tar::new()
        .directory("etc", 0o755)
        .bytes("etc/passwd", 0o644, b"root")
        .bytes("etc/gone", 0o644, b"x")
        .directory("var", 0o755)
        .bytes("var/old", 0o644, b"x")
        .directory("anew", 0o755)
        .bytes("anew/old", 0o644, b"x")
        .directory("removed", 0o755)
        .bytes("removed/file", 0o644, b"x")
        .end();
    let middle = Tar::new()
        .bytes("etc/.wh.gone", 0o644, b"")
        .directory("var", 0o700)
        .bytes("var/.wh..wh..opq", 0o644, b"")
        .bytes("var/new", 0o644, b"y")
        .bytes(".wh.anew", 0o644, b"")
        .directory("anew", 0o755)
        .bytes("anew/new", 0o644, b"y")
        .bytes(".wh.removed", 0o644, b"")
        .end();
    let top = Tar::new()
        .bytes("etc/passwd", 0o644, b"top")
        .bytes("var/newer", 0o644, b"z")
        .end();
    let place = Place::new();
    let image = TestImage::new(vec![bottom, middle, top]);
    place
        .load(&docker_archive(&[(&image, &["x:1"])]))
        .await
        .unwrap();
    let layers = place
        .store
        .layers(&place.store.resolve("x:1").unwrap())
        .unwrap();
    let Some(overlay) = Overlay::mount(&layers) else {
        return;
    };
    assert_eq!(overlay.names(""), ["anew", "etc", "var"]);
    assert_eq!(overlay.names("etc"), ["passwd"]);
    assert_eq!(overlay.read("etc/passwd"), "top");
    assert_eq!(overlay.names("var"), ["new", "newer"]);
    assert_eq!(overlay.names("anew"), ["new"]);
}
