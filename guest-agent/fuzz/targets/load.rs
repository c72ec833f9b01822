//! Any bytes as an archive of images, and as an archive of files to make an image of.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "that is how a finding shows itself"
)]

use std::cell::RefCell;

use fuzz::archive::Packing;
use fuzz::image::{Form, Image, config, tar};
use fuzz::place::Place;
use fuzz::seeds;
use images::{LoadOptions, Origin, RemoveOptions, Store};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// A new store now and then: what was loaded under names leaves a history.
const INPUTS: u32 = 500;

/// What stays from one input to the next.
struct Work {
    place: Place,
    store: Option<Store>,
    inputs: u32,
    runtime: Runtime,
}

thread_local! {
    static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
}

fuzz_target!(init: begin(), |bytes: &[u8]| {
    WORK.with_borrow_mut(|work| {
        if let (Some(work), Some((kind, bytes))) = (work, bytes.split_first()) {
            work.run(kind % 2 == 0, bytes);
        }
    });
});

fn begin() {
    seeds::write(examples());
    let runtime = fuzz::runtime();
    WORK.set(Some(Work {
        place: Place::new(),
        store: None,
        inputs: 0,
        runtime,
    }));
}

/// What honest programs write, small.
fn examples() -> Vec<Vec<u8>> {
    let layer = tar(&[
        ("a/b".into(), b"content".to_vec()),
        (".wh.c".into(), Vec::new()),
    ]);
    let packings = [Packing::Plain, Packing::Gzip(true), Packing::Zstd(true)];
    let legacy = tar(&[
        ("a/json".into(), br#"{"parent":"b"}"#.to_vec()),
        ("a/layer.tar".into(), layer.clone()),
        ("b/json".into(), b"{}".to_vec()),
        ("b/layer.tar".into(), layer.clone()),
        ("repositories".into(), br#"{"x":{"1":"a"}}"#.to_vec()),
    ]);
    let mut seeds = vec![[&[0], legacy.as_slice()].concat()];
    for packing in packings {
        seeds.push([&[1], packing.pack(&layer).as_slice()].concat());
        for form in [Form::Docker, Form::Oci, Form::OciLast] {
            let image = Image {
                layers: vec![(packing.pack(&layer), layer.clone())],
                config: config(),
            };
            seeds.push([&[0], image.archive(form).as_slice()].concat());
        }
    }
    seeds
}

impl Work {
    fn run(&mut self, images: bool, bytes: &[u8]) {
        if self.inputs.is_multiple_of(INPUTS) {
            self.store = None;
            let root = self.place.fresh("images");
            self.store = Some(Store::open(&root).unwrap());
        }
        self.inputs += 1;
        let Some(store) = &self.store else { return };
        let found = if images {
            // Nobody listens.
            let (progress, _) = mpsc::channel(1);
            let loading = store.load(bytes, LoadOptions::default(), progress);
            let loaded = self.runtime.block_on(loading).unwrap_or_default();
            loaded.into_iter().map(|image| image.id).collect()
        } else {
            let describe = |layer: images::Digest| {
                let mut config = config();
                config["rootfs"] =
                    serde_json::json!({"type": "layers", "diff_ids": [layer.to_string()]});
                Ok(config.to_string().into_bytes())
            };
            let origin = Origin::new(images::How::Import, "fuzz");
            let importing = store.import(bytes, None, origin, describe);
            Vec::from_iter(self.runtime.block_on(importing))
        };
        let remove = |id: &images::Digest| {
            let force = RemoveOptions {
                force: true,
                ..RemoveOptions::default()
            };
            let removed = store.remove(&id.to_string(), force, "fuzz", |_| Vec::new());
            removed.is_ok()
        };
        // One that others were made from goes after them.
        while found.iter().any(remove) {}
        assert!(store.list().unwrap().is_empty(), "an image was not removed");
        self.place.check();
    }
}
