//! A registry that says what it likes, asked for everything that is asked of registries: each answer is
//! taken or refused, and what was pulled is what its digest says.
#![no_main]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "that is how a finding shows itself"
)]

#[path = "registry/server.rs"]
mod server;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use fuzz::image::{Image, config, tar};
use fuzz::place::Place;
use fuzz::seeds;
use images::{
    Access, Auth, Digest, Platform, PullOptions, PushOptions, Reference, RemoveOptions, Store,
    log_in, look_up, search, tags,
};
use libfuzzer_sys::fuzz_target;
use server::{Answer, Server};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Who waits before the next try is left alone with it.
const PATIENCE: Duration = Duration::from_millis(400);

/// What is asked for.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Wish {
    Pull,
    PullDigest,
    Push,
    LookUp,
    Tags,
    Search,
    LogIn,
}

/// What stays from one input to the next.
struct Work {
    place: Place,
    store: Store,
    runtime: Runtime,
    server: Arc<Server>,
    own: Digest,
}

thread_local! {
    static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
}

fuzz_target!(init: begin(), |bytes: &[u8]| {
    let mut u = Unstructured::new(bytes);
    let (Ok(wish), Ok(with_auth)) = (Wish::arbitrary(&mut u), bool::arbitrary(&mut u)) else {
        return;
    };
    WORK.with_borrow(|work| {
        if let Some(work) = work
            && let Ok(answers) = server::answers(&mut u, work.server.address())
        {
            work.run(wish, with_auth, answers);
        }
    });
});

fn begin() {
    seeds::write(seeds::noise());
    let place = Place::new();
    let store = Store::open(&place.fresh("images")).unwrap();
    let runtime = fuzz::runtime();
    let layer = |text: &str| {
        let plain = tar(&[(text.to_owned(), text.as_bytes().to_vec())]);
        (plain.clone(), plain)
    };
    let offered = Image {
        layers: vec![layer("a"), layer("b")],
        config: config(),
    };
    let own = Image {
        layers: vec![layer("c")],
        config: config(),
    };
    // Nobody listens.
    let (progress, _) = mpsc::channel(1);
    let archive = own.archive(fuzz::image::Form::Docker);
    let loading = store.load(archive.as_slice(), images::LoadOptions::default(), progress);
    runtime.block_on(loading).unwrap();
    let server = runtime.block_on(Server::start(&offered));
    WORK.set(Some(Work {
        place,
        store,
        runtime,
        server,
        own: Digest::of(&own.document()),
    }));
}

impl Work {
    fn run(&self, wish: Wish, with_auth: bool, answers: Vec<Option<Answer>>) {
        self.server.prepare(answers);
        let work = async { timeout(PATIENCE, self.ask(wish, with_auth)).await };
        let _ = self.runtime.block_on(work);
        self.place.check();
        for image in self.store.list().unwrap() {
            if image.id == self.own {
                continue;
            }
            let document = image.config.value().to_string();
            assert!(self.store.check(true).unwrap().is_sound(), "{document}");
            let force = RemoveOptions {
                force: true,
                ..RemoveOptions::default()
            };
            self.store
                .remove(&image.id.to_string(), force, "fuzz", |_| Vec::new())
                .unwrap();
        }
    }

    async fn ask(&self, wish: Wish, with_auth: bool) {
        let access = Access {
            auth: with_auth.then(|| Auth {
                username: "me".into(),
                password: "secret".into(),
                ..Auth::default()
            }),
            ..Access::default()
        };
        let domain = self.server.address();
        let name = Reference::parse(&format!("{domain}/x:1")).unwrap();
        let (progress, mut told) = mpsc::channel(16);
        let listen = async { while told.recv().await.is_some() {} };
        let platform = Platform::parse("linux/amd64").ok();
        match wish {
            Wish::Pull | Wish::PullDigest => {
                let wanted = self.server.manifest();
                let name = match wish {
                    Wish::PullDigest => name.with_digest(wanted),
                    _ => name,
                };
                let options = PullOptions {
                    access,
                    platform,
                    by: String::new(),
                };
                let pulling = self.store.pull(&name, options, progress);
                let (pulled, ()) = tokio::join!(pulling, listen);
                if let (Ok(pulled), Wish::PullDigest) = (pulled, wish) {
                    assert_eq!(pulled.id, self.server.image(), "another image was taken");
                }
            }
            Wish::Push => {
                let origin = images::Origin::new(images::How::Tag, "fuzz");
                self.store.tag(&self.own, &name, &origin).unwrap();
                let options = PushOptions { access, platform };
                let pushing = self.store.push(&name, options, progress);
                let _ = tokio::join!(pushing, listen);
            }
            Wish::LookUp => drop(look_up(&name, &access).await),
            Wish::Tags => drop(tags(&name, &access).await),
            Wish::Search => drop(search(&format!("{domain}/x"), 10, &access).await),
            Wish::LogIn => drop(log_in(&domain, &access).await),
        }
    }
}
