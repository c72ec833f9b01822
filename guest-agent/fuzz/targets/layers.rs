//! Images whose layers attack: taken in, looked at, written out again, removed. Nothing outside the
//! store may be touched, nothing may stay behind, and what was taken once must be taken again.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "that is how a finding shows itself"
)]

use std::cell::RefCell;
use std::path::PathBuf;

use arbitrary::{Arbitrary, Unstructured};
use fuzz::archive::{Archive, Packing};
use fuzz::image::{Form, Image, config};
use fuzz::place::Place;
use fuzz::{json, seeds};
use images::{Digest, LoadOptions, RemoveOptions, Store};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// What stays from one input to the next.
struct Work {
    place: Place,
    root: PathBuf,
    store: Store,
    runtime: Runtime,
}

thread_local! {
    static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
}

fuzz_target!(init: begin(), |bytes: &[u8]| {
    if let Ok((image, form)) = input(&mut Unstructured::new(bytes)) {
        WORK.with_borrow(|work| {
            if let Some(work) = work {
                work.run(&image, form);
            }
        });
    }
});

fn begin() {
    seeds::write(seeds::noise());
    let place = Place::new();
    let root = place.fresh("images");
    let store = Store::open(&root).unwrap();
    let runtime = fuzz::runtime();
    WORK.set(Some(Work {
        place,
        root,
        store,
        runtime,
    }));
}

fn input(u: &mut Unstructured<'_>) -> arbitrary::Result<(Image, Form)> {
    const KEYS: [&str; 14] = [
        "architecture",
        "os",
        "variant",
        "created",
        "config",
        "history",
        "rootfs",
        "empty_layer",
        "created_by",
        "Env",
        "Entrypoint",
        "Healthcheck",
        "Test",
        "Labels",
    ];
    let form = Form::arbitrary(u)?;
    let mut document = config();
    if u.ratio(1, 4)? {
        let more = json::object(u, &KEYS)?;
        document.as_object_mut().unwrap().extend(more);
    }
    let mut layers = Vec::new();
    for _ in 0..u.int_in_range(1..=3)? {
        let packing = Packing::arbitrary(u)?;
        let plain = Archive::arbitrary(u)?.plain();
        layers.push((packing.pack(&plain), plain));
    }
    let image = Image {
        layers,
        config: document,
    };
    Ok((image, form))
}

impl Work {
    fn run(&self, image: &Image, form: Form) {
        let archive = image.archive(form);
        let loaded = self.load(&archive);
        self.place.check();
        if let Some(id) = loaded {
            assert_eq!(id, Digest::of(&image.document()));
            self.look(&id);
            let saved = self.save(&id);
            self.remove(&id);
            self.assert_empty();
            assert_eq!(self.load(&saved), Some(id), "what was saved is not taken");
            self.remove(&id);
            self.place.check();
        }
        self.assert_empty();
    }

    fn load(&self, archive: &[u8]) -> Option<Digest> {
        // Nobody listens.
        let (progress, _) = mpsc::channel(1);
        let loading = self.store.load(archive, LoadOptions::default(), progress);
        let loaded = self.runtime.block_on(loading).ok()?;
        loaded.first().map(|image| image.id)
    }

    /// Everything that a person could ask of it. It may be refused, but must be answered.
    fn look(&self, id: &Digest) {
        /// More is not looked at.
        const LIMIT: usize = 1000;
        let image = self.store.get(id).unwrap();
        let _ = self.store.layer_infos(&image);
        let _ = self.store.waste(&image);
        let layers = 0..image.layers.len();
        for layer in [None].into_iter().chain(layers.map(Some)) {
            let Ok((entries, _)) = self.store.tree(&image, layer, "/", true, LIMIT) else {
                continue;
            };
            for entry in entries {
                let _ = self.store.open_file(&image, layer, &entry.path);
            }
        }
        if let Ok(changes) = self.store.changes(&image, &image) {
            assert!(
                changes.files.is_empty(),
                "it differs from itself: {changes:?}"
            );
        }
        assert!(self.store.check(true).unwrap().is_sound(), "it is damaged");
    }

    fn save(&self, id: &Digest) -> Vec<u8> {
        let mut saved = Vec::new();
        let name = [id.to_string()];
        let saving = self.store.save(&name, None, &mut saved);
        self.runtime.block_on(saving).unwrap();
        saved
    }

    fn remove(&self, id: &Digest) {
        let force = RemoveOptions {
            force: true,
            ..RemoveOptions::default()
        };
        self.store
            .remove(&id.to_string(), force, "fuzz", |_| Vec::new())
            .unwrap();
    }

    fn assert_empty(&self) {
        for directory in ["layers", "blobs/sha256", "tmp"] {
            let left: Vec<_> = std::fs::read_dir(self.root.join(directory))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            assert!(left.is_empty(), "left behind: {left:?}");
        }
    }
}
