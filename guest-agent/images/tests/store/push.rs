//! `docker push` to the real registry: what travels, what does not, and cut connections.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use images::{Access, PullProgress, PushOptions, Reference};

use crate::fixture::{Place, Tar, TestImage, docker_archive, listen};
use crate::server::RealRegistry;

/// Bytes as good as random, which no compression makes smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 9_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(3);
        (state >> 40) as u8
    };
    (0..size).map(|_| next()).collect()
}

async fn with_image(names: &[&str]) -> Place {
    let layers = vec![
        Tar::new().bytes("large", 0o644, &noise(3 << 20)).end(),
        Tar::new().bytes("small", 0o644, b"small").end(),
    ];
    let place = Place::new();
    let image = TestImage::new(layers);
    place
        .load(&docker_archive(&[(&image, names)]))
        .await
        .unwrap();
    place
}

impl Place {
    async fn push(&self, name: &str, access: Access) -> (images::Result<()>, Vec<PullProgress>) {
        let (sender, messages) = listen();
        let options = PushOptions {
            access,
            platform: None,
        };
        let reference = Reference::parse_bare(name).unwrap();
        let pushed = self.store.push(&reference, options, sender).await;
        (pushed, messages.await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_of_the_person_is_pushed_to_from_inside_the_machine() {
    let Some(registry) = RealRegistry::start() else {
        return;
    };
    // Nothing listens there: only the alias leads to the registry.
    let name = format!("127.0.0.77:{}/x:1", registry.address.port());
    let place = with_image(&[&name]).await;
    let access = Access {
        localhost_alias: Some("127.0.0.1".parse().unwrap()),
        ..Access::default()
    };
    place.push(&name, access).await.0.unwrap();
    let direct = format!("{}/x:1", registry.address);
    let other = Place::new();
    let pulled = other.pull(&direct).await.0.unwrap();
    assert_eq!(pulled.id, place.store.resolve(&name).unwrap().id);
}

/// Passes bytes on to `target`, and breaks the first upload off in its middle. How often it did.
fn cutting(target: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let cuts = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&cuts);
    // Ends with the test's process.
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(target).unwrap();
            let (mut back, mut to_client) =
                (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut back, &mut to_client));
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || forward(client, server, &seen));
        }
    });
    (address, cuts)
}

fn forward(mut client: TcpStream, mut server: TcpStream, cuts: &AtomicUsize) {
    let mut buffer = vec![0; 64 << 10];
    let mut uploaded = None;
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let piece = &buffer[..count];
        if piece.starts_with(b"PATCH ") && cuts.load(Ordering::SeqCst) == 0 {
            uploaded = Some(0);
        }
        if server.write_all(piece).is_err() {
            return;
        }
        if let Some(uploaded) = &mut uploaded {
            *uploaded += count;
            if *uploaded > 1 << 20 {
                cuts.fetch_add(1, Ordering::SeqCst);
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Both);
                return;
            }
        }
    }
    let _ = server.shutdown(Shutdown::Write);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_upload_is_finished() {
    let Some(registry) = RealRegistry::start() else {
        return;
    };
    let (proxy, cuts) = cutting(registry.address);
    let name = format!("{proxy}/x:1");
    let place = with_image(&[&name]).await;
    let (pushed, messages) = place.push(&name, Access::default()).await;
    pushed.unwrap();
    assert_ne!(cuts.load(Ordering::SeqCst), 0, "the upload was never cut");
    let last = messages.last().unwrap().aux.clone().unwrap();
    assert_eq!(last["Tag"], "1");
    let other = Place::new();
    let pulled = other
        .pull(&format!("{}/x:1", registry.address))
        .await
        .0
        .unwrap();
    assert_eq!(pulled.digest.to_string(), last["Digest"]);
    assert!(place.store.check(true).unwrap().findings.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_missing_travels_and_is_told() {
    let Some(registry) = RealRegistry::start() else {
        return;
    };
    let name = format!("{}/x:1", registry.address);
    let place = with_image(&[&name]).await;
    let said = |messages: &[PullProgress], words: &str| {
        let with = messages.iter().filter(|m| m.status.starts_with(words));
        with.count()
    };
    let (pushed, first) = place.push(&name, Access::default()).await;
    pushed.unwrap();
    assert_eq!((said(&first, "Pushed"), said(&first, "Saved")), (2, 0));
    // One layer more on top of the same.
    let image = place.store.resolve(&name).unwrap();
    let mut layers = vec![
        Tar::new().bytes("large", 0o644, &noise(3 << 20)).end(),
        Tar::new().bytes("small", 0o644, b"small").end(),
    ];
    layers.push(Tar::new().bytes("third", 0o644, b"third").end());
    let above = TestImage::new(layers);
    let second = format!("{}/x:2", registry.address);
    place
        .load(&docker_archive(&[(&above, &[&second])]))
        .await
        .unwrap();
    let (pushed, messages) = place.push(&second, Access::default()).await;
    pushed.unwrap();
    assert_eq!(said(&messages, "Layer already exists"), 2);
    assert_eq!(said(&messages, "Pushed"), 1);
    // Where scripts look for the digest, it is: at the end.
    let [.., saved, digest, aux] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    assert!(saved.status.starts_with("Saved 3.1"), "{messages:?}");
    assert!(digest.status.starts_with("2: digest: "), "{messages:?}");
    assert_eq!(aux.aux.as_ref().unwrap()["Tag"], "2");
    assert_eq!(image.repo_digests.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_tag_of_a_push_brought_is_not_saved() {
    let Some(registry) = RealRegistry::start() else {
        return;
    };
    let repository = format!("{}/x", registry.address);
    let names = ["1", "2"].map(|tag| format!("{repository}:{tag}"));
    let place = with_image(&[&names[0], &names[1]]).await;
    let saved = async || {
        let (pushed, messages) = place.push(&repository, Access::default()).await;
        pushed.unwrap();
        let lines = messages.into_iter().map(|message| message.status);
        let lines: Vec<String> = lines.filter(|line| line.starts_with("Saved")).collect();
        lines
    };
    assert_eq!(saved().await, Vec::<String>::new());
    let again = saved().await;
    assert_eq!(again.len(), 1, "{again:?}");
    assert!(again[0].ends_with("; sent 0B"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_taken_over_from_where_they_were_pushed_last() {
    let Some(registry) = RealRegistry::start() else {
        return;
    };
    let names = ["a:1", "b:1", "a:2", "c:1"].map(|name| format!("{}/{name}", registry.address));
    let place = with_image(&names.each_ref().map(String::as_str)).await;
    let mut last = Vec::new();
    for name in &names {
        let (pushed, messages) = place.push(name, Access::default()).await;
        pushed.unwrap();
        last = messages;
    }
    let mounted = last.iter().filter(|m| m.status == "Mounted from a");
    assert_eq!(mounted.count(), 2, "{last:?}");
}
