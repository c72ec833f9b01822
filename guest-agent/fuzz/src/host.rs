//! An engine with its warden, in a world of its own: a file system in memory as its root, and a network
//! with nothing but itself. The warden is a process, this program again; the engine is here, where it
//! is seen which of its code runs.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::Api;
use engine::{Engine, Machine, Options};
use images::Digest;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, Signal};
use rustix::thread::UnshareFlags;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::image::{Form, Image, config, tar};
use crate::place::{Place, leave};

/// Tells this program that it is to be a warden, with its directory.
const WARDEN: &str = "SLIPWAY_FUZZ_WARDEN";
/// How long starting may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The engine.
pub struct Host {
    /// Where it is, and what it must not touch.
    pub place: Place,
    /// Runs it.
    pub runtime: Runtime,
    /// It.
    pub engine: Arc<Engine>,
    api: Api,
    _warden: Child,
}

impl Host {
    /// Starts it. Needs root.
    #[must_use]
    pub fn start(machine: Machine) -> Self {
        become_warden();
        leave(UnshareFlags::NEWNET).expect("an engine is fuzzed by root only");
        let address = format!("{}/32", std::net::Ipv4Addr::new(10, 0, 2, 53));
        for words in [
            &["link", "set", "lo", "up"][..],
            &["address", "add", &address, "dev", "lo"],
        ] {
            assert!(Command::new("ip").args(words).status().unwrap().success());
        }
        let mut place = Place::new();
        let home = place.fresh("slipway");
        let warden = Command::new("/proc/self/exe")
            .arg0("slipway-fuzz-warden")
            .env(WARDEN, &home)
            .spawn()
            .unwrap();
        let socket = engines_end(warden.id());
        place.enclose();
        let home = Path::new("/slipway");
        let options = Options {
            root: home.join("root"),
            run: home.join("run"),
            machine,
            bundled_images: None,
        };
        for directory in [&options.root, &options.run] {
            fs::create_dir_all(directory).unwrap();
        }
        // As the agent has it.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let engine = runtime.block_on(async {
            let engine = Engine::start(options, socket).unwrap();
            engine.ready().await.unwrap();
            engine
        });
        Self {
            place,
            runtime,
            api: Api::new(Arc::clone(&engine)),
            engine,
            _warden: warden,
        }
    }

    /// Says bytes to the API and returns what it says within a while.
    #[must_use]
    pub fn say(&self, bytes: &[u8], patience: Duration) -> Vec<u8> {
        /// More is not read.
        const MOST: usize = 4 << 20;
        self.runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(64 << 10);
            let api = self.api.clone();
            let serving = tokio::spawn(async move { api.serve(server).await });
            let mut said = Vec::new();
            let talk = async {
                let (mut reader, mut writer) = tokio::io::split(&mut client);
                let speaking = async {
                    // Who is refused early does not say everything.
                    let _ = writer.write_all(bytes).await;
                    let _ = writer.shutdown().await;
                };
                let listening = async {
                    let mut piece = vec![0; 32 << 10];
                    while said.len() < MOST {
                        match reader.read(&mut piece).await {
                            Ok(count @ 1..) => said.extend_from_slice(&piece[..count]),
                            _ => break,
                        }
                    }
                };
                tokio::join!(speaking, listening);
            };
            let _ = timeout(patience, talk).await;
            drop(client);
            // A connection that was taken over is left by both sides.
            let _ = timeout(patience, serving).await;
            said
        })
    }

    /// A request that must succeed; returns the answer's body.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> String {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = self.say(&[head.as_bytes(), body].concat(), PATIENCE);
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 2"), "{path}: {answer}");
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// Loads an image of one layer with these files, and says its id.
    ///
    /// # Panics
    /// Where the engine can't be asked.
    pub fn load(&self, files: &[(String, Vec<u8>)]) -> Digest {
        let layer = tar(files);
        let image = Image {
            layers: vec![(layer.clone(), layer)],
            config: config(),
        };
        let archive = image.archive(Form::Docker);
        let _ = self.ask("POST", "/images/load", "application/x-tar", &archive);
        Digest::of(&image.document())
    }
}

/// In the process that is to be one.
fn become_warden() {
    let Some(home) = std::env::var_os(WARDEN).map(PathBuf::from) else {
        return;
    };
    // Nobody is to be left when the run ends, however it does.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    if std::env::args().nth(1).as_deref() == Some("--warden-fd") {
        // The warden's idea of an engine. The real one takes the descriptor from here.
        let program = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).ok();
        while program(&std::os::unix::process::parent_id().to_string()) == program("self") {
            std::thread::sleep(Duration::from_secs(1));
        }
        // The warden had gone before its end could be noticed.
        std::process::exit(0);
    }
    let words = ["--agent", "/proc/self/exe", "--link", "unix:/nowhere"].map(Into::into);
    let root = ["--root".into(), home.join("root").into()];
    let run = ["--run".into(), home.join("run").into()];
    let ended = warden::native::run(words.into_iter().chain(root).chain(run));
    std::process::exit(i32::from(ended.is_err()));
}

/// Takes the engine's end of the socket from the process that the warden has started for it.
fn engines_end(warden: u32) -> OwnedFd {
    let end = Instant::now() + PATIENCE;
    let children = format!("/proc/{warden}/task/{warden}/children");
    loop {
        let pid = fs::read_to_string(&children)
            .ok()
            .and_then(|text| text.split_whitespace().next()?.parse::<i32>().ok());
        let started = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.windows(11).any(|words| words == b"--warden-fd")
        };
        if let Some(pid) = pid.filter(started) {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap();
            return rustix::process::pidfd_getfd(&handle, 3, PidfdGetfdFlags::empty()).unwrap();
        }
        assert!(Instant::now() < end, "the warden does not start");
        std::thread::sleep(Duration::from_millis(5));
    }
}
