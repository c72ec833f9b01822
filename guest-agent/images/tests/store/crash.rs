//! The store when its process is killed at any moment.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use images::{LoadOptions, RemoveOptions, Store};

use crate::fixture::{Place, TestImage, docker_archive, listen};

const ROOT: &str = "SLIPWAY_CRASH_ROOT";

fn image() -> TestImage {
    TestImage::busybox()
}

/// The process that `killed_at_any_moment` starts and kills: it loads and removes the same image
/// for ever. In an ordinary run, without a root to work in, it has nothing to do.
#[tokio::test]
async fn victim() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let store = Store::open(root.as_ref()).unwrap();
    let archive = docker_archive(&[(&image(), &["x:1"])]);
    loop {
        let (sender, _messages) = listen();
        store
            .load(archive.as_slice(), LoadOptions::default(), sender)
            .await
            .unwrap();
        eprintln!("loaded");
        store
            .remove("x:1", RemoveOptions::default(), "", |_| Vec::new())
            .unwrap();
        eprintln!("removed");
    }
}

#[tokio::test]
async fn killed_at_any_moment() {
    let Place { home, store } = Place::new();
    drop(store);
    let root = home.path().join("images");
    for round in 0..12_u32 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::victim", "--nocapture"])
            .env(ROOT, &root)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stderr.take().unwrap()).lines();
        // Past the start, then a little later each round.
        let seen = lines.find(|line| line.as_ref().unwrap() == "removed");
        assert!(seen.is_some(), "the victim did not work at all");
        let moment = Instant::now() + Duration::from_micros(u64::from(round) * 1700);
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        victim.kill().unwrap();
        victim.wait().unwrap();

        let place = Place {
            store: Store::open(&root).unwrap(),
            home: tempfile::tempdir_in(home.path()).unwrap(),
        };
        match place.store.list().unwrap().as_slice() {
            [] => assert_eq!(std::fs::read_dir(root.join("layers")).unwrap().count(), 0),
            [found] => {
                assert_eq!((found.id, found.size), (image().id(), image().size()));
                assert_eq!(
                    place.read(found, "bin/busybox"),
                    std::fs::read("/bin/busybox").unwrap()
                );
                assert_eq!(place.read(found, "etc/motd"), b"upper");
            }
            several => panic!("{} images", several.len()),
        }
        assert_eq!(std::fs::read_dir(root.join("tmp")).unwrap().count(), 0);
    }
}
