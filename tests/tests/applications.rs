//! Real applications from Debian's packages, as an application of Docker Compose: nginx before an
//! interface in Python before PostgreSQL, on two networks, with a volume, spoken to from the host
//! with curl and psql, and loaded with iperf3 and wrk. `cargo xtask test --all` makes the images.
#![allow(clippy::expect_used, reason = "a test that can't go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::program::Ran;
use tests::steps::{skip, unable};
use tests::{Driver, Machine, Program, Steps, isolation, places, wait};

/// The images, and what each runs.
const IMAGES: [(&str, &str); 5] = [
    ("minbase", r#"CMD ["bash"]"#),
    ("nginx", r#"CMD ["nginx", "-g", "daemon off;"]"#),
    ("python", r#"CMD ["python3"]"#),
    ("postgres", r#"CMD ["sh", "/start"]"#),
    ("load", r#"CMD ["iperf3", "--server"]"#),
];

/// An emulated machine is slow, and PostgreSQL makes its cluster first.
const LONG: Duration = Duration::from_secs(600);

#[test]
fn applications_run_natively() {
    if folder().is_none() || !isolation::is_inside("applications_run_natively") {
        return;
    }
    applications(Driver::Native);
}

#[test]
fn applications_run_in_the_machine() {
    if folder().is_some() {
        applications(Driver::Qemu);
    }
}

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("SLIPWAY_APPLICATIONS").map(PathBuf::from);
    if folder.is_none() {
        unable("SLIPWAY_APPLICATIONS does not name the folder with the applications");
    }
    folder
}

fn applications(driver: Driver) {
    let Some(archives) = folder() else { return };
    let (Some(curl), Some(psql)) = (places::in_path("curl"), places::in_path("psql")) else {
        return skip("curl or psql (packages curl, postgresql-client) is not installed");
    };
    let machine = match Machine::started(driver) {
        Ok(machine) => machine,
        Err(why) => return skip(&why),
    };
    let project = machine.home().join("application");
    fs::create_dir(&project).expect("a folder");
    fs::write(
        project.join("compose.yaml"),
        include_str!("../data/application.yaml"),
    )
    .expect("the application");
    let app = Application {
        machine: &machine,
        project,
        curl,
        psql,
    };
    let mut steps = Steps::begin();
    steps.step("docker import", || app.import(&archives));
    steps.step("a minimal system", || app.minimal());
    steps.step("compose up, in the order of health", || app.up());
    steps.step("through nginx and Python, by IPv4 and IPv6", || app.ask());
    steps.step("who may see whom", || app.isolation());
    steps.step("PostgreSQL from the host", || app.query());
    steps.step("more of one service", || app.scale());
    steps.step("the engine's end breaks no connection", || app.crash());
    steps.step("iperf3 between containers", || app.iperf());
    steps.step("wrk while the engine is killed", || app.load());
    steps.step("data outlives its containers", || app.again());
    steps.step("compose down", || app.down());
    steps.end();
}

struct Application<'a> {
    machine: &'a Machine,
    project: PathBuf,
    curl: PathBuf,
    psql: PathBuf,
}

impl Application<'_> {
    fn compose(&self, args: &[&str]) -> Ran {
        let folder = self.project.to_str().expect("a plain path");
        let head = ["compose", "--progress=plain", "--project-directory", folder];
        let all = [&head, args].concat();
        self.machine.docker_command(&all).within(LONG).run()
    }

    fn curl(&self, args: &[&str]) -> Ran {
        let head = ["--silent", "--show-error", "--max-time", "60"];
        Program::new(&self.curl)
            .args(head)
            .args(args)
            .within(LONG)
            .run()
    }

    fn sql(&self, text: &str) -> String {
        Program::new(&self.psql)
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--host=127.0.0.1", "--port=15432", "--username=postgres"])
            .args(["--set=ON_ERROR_STOP=1", "--command", text])
            .within(LONG)
            .run()
            .text()
    }

    fn import(&self, archives: &Path) {
        for (name, change) in IMAGES {
            let archive = archives.join(format!("{name}.tar"));
            let archive = archive.to_str().expect("a plain path");
            let args = ["import", "--change", change, archive, name];
            self.machine.docker_command(&args).within(LONG).run().ok();
        }
    }

    fn minimal(&self) {
        let run = |script: &str| {
            let args = ["run", "--rm", "minbase", "bash", "-ec", script];
            self.machine.docker_command(&args).within(LONG).run()
        };
        assert!(run("cat /etc/os-release").ok().contains("Debian"));
        // Users, files and packages of a real system.
        run("dpkg --verify && getent passwd www-data && su nobody -s /bin/sh -c id").ok();
        // What an installation does: files of other owners, replaced and linked.
        run("useradd -m someone && su someone -c 'touch ~/x' && test -O /root && perl -e 'exit 0'")
            .ok();
    }

    fn up(&self) {
        self.compose(&["up", "--detach", "--wait"]).ok();
        let states = self
            .compose(&["ps", "--format", "{{.Service}} {{.State}} {{.Health}}"])
            .ok();
        let mut lines: Vec<&str> = states.lines().map(str::trim).collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            ["api running healthy", "db running healthy", "web running"]
        );
    }

    fn ask(&self) {
        for address in ["127.0.0.1", "[::1]"] {
            let root = format!("http://{address}:18080");
            assert_eq!(
                self.curl(&[&format!("{root}/direct")]).text(),
                "from nginx",
                "{root}"
            );
            let said = self.curl(&[&format!("{root}/")]).text();
            assert!(said.starts_with("the database answers"), "{said}");
        }
    }

    fn isolation(&self) {
        let exec = |service: &str, command: &[&str]| {
            self.compose(&[&["exec", "-T", service], command].concat())
        };
        exec("api", &["getent", "hosts", "database"]).ok();
        exec("web", &["getent", "hosts", "api"]).ok();
        assert_eq!(exec("web", &["getent", "hosts", "database"]).code, 2);
        assert_eq!(exec("web", &["getent", "hosts", "db"]).code, 2);
    }

    fn query(&self) {
        self.sql("create table kept (number integer, word text)");
        self.sql("insert into kept select n, 'word ' || n from generate_series(1, 20000) n");
        assert_eq!(
            self.sql("select count(*), max(number) from kept"),
            "20000|20000"
        );
    }

    fn scale(&self) {
        self.compose(&["up", "--detach", "--wait", "--scale", "api=3"])
            .ok();
        let script = "getent ahostsv4 api | cut -d ' ' -f 1 | sort -u | wc -l";
        let found = self.compose(&["exec", "-T", "web", "sh", "-c", script]);
        assert_eq!(found.text(), "3");
        self.compose(&["up", "--detach", "--wait", "--scale", "api=1"])
            .ok();
    }

    fn crash(&self) {
        let text = "select 1; select pg_sleep(15); select 'still ' || count(*) from kept";
        let asking = Program::new(&self.psql)
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--host=127.0.0.1", "--port=15432", "--username=postgres"])
            .args(["--command", text])
            .within(LONG)
            .start();
        asking.wait_for("1");
        self.kill_engine();
        asking.wait_for("still 20000");
        wait::until_true("the engine answers again", Duration::from_secs(60), || {
            self.machine.docker(&["ps", "-q"]).code == 0
        });
        self.ask();
    }

    fn iperf(&self) {
        let docker = |args: &[&str]| self.machine.docker_command(args).within(LONG).run();
        docker(&["network", "create", "lane"]).ok();
        docker(&["run", "-d", "--name", "sink", "--network", "lane", "load"]).ok();
        for kind in [
            &[][..],
            &["--udp", "--bitrate=20M"],
            &["--reverse"],
            &["--parallel=8"],
        ] {
            let client = ["run", "--rm", "--network", "lane", "load", "sh", "-c"];
            let script = format!(
                "for i in 1 2 3 4 5; do iperf3 --json --time 2 --client sink {} && exit; sleep 1; done; exit 1",
                kind.join(" ")
            );
            let told = docker(&[&client[..], &[&script]].concat()).ok();
            let told: serde_json::Value =
                serde_json::from_str(&told[told.rfind("\n{\n").map_or(0, |at| at + 1)..])
                    .expect("JSON");
            let end = &told["end"];
            let sum = if kind.first() == Some(&"--udp") {
                &end["sum"]
            } else {
                &end["sum_received"]
            };
            let rate = sum["bits_per_second"].as_f64().expect("a rate") / 1e6;
            tests::steps::say(&format!("           {kind:?}: {rate:.0} Mbit/s"));
            assert!(rate > 5.0, "{kind:?}: {told}");
        }
        docker(&["rm", "-f", "sink"]).ok();
        docker(&["network", "rm", "lane"]).ok();
    }

    /// Connections between containers and to the published port carry requests all the time.
    fn load(&self) {
        let web = self.compose(&["ps", "-q", "web"]).text();
        let format =
            "{{range $name, $on := .NetworkSettings.Networks}}{{$name}} {{$on.Gateway}} {{end}}";
        let told = self.machine.docker(&["inspect", "-f", format, &web]).ok();
        let words: Vec<&str> = told.split_whitespace().collect();
        let (network, gateway) = (words[0], words[1]);
        // In the machine the whole way: out of it to this computer, and in again by its port.
        let host = match self.machine.driver() {
            Driver::Qemu => "10.0.2.2",
            _ => gateway,
        };
        // The image has no /etc/services, where a port's name would be.
        let within = "http://web:80/direct".to_owned();
        let published = format!("http://{host}:18080/direct");
        for (name, url) in [("within", within), ("published", published)] {
            let wrk = [
                "wrk",
                "--threads=1",
                "--connections=16",
                "--duration=12s",
                "--timeout=10s",
            ];
            let run = ["run", "-d", "--name", name, "--network", network, "load"];
            self.machine
                .docker(&[&run[..], &wrk, &[&url]].concat())
                .ok();
        }
        std::thread::sleep(Duration::from_secs(4));
        self.kill_engine();
        for name in ["within", "published"] {
            wait::until_true("wrk has ended", Duration::from_secs(90), || {
                let state = ["inspect", "-f", "{{.State.Status}}", name];
                self.machine.docker(&state).stdout.trim() == "exited"
            });
            let told = self.machine.docker(&["logs", name]).ok();
            let line = |what: &str| told.lines().find(|line| line.contains(what));
            tests::steps::say(&format!(
                "           {name}: {}",
                line("Requests/sec").unwrap_or(&told)
            ));
            assert!(line("Requests/sec").is_some(), "{told}");
            let bad = ["Socket errors", "Non-2xx"].into_iter().find_map(line);
            assert!(bad.is_none(), "{name}: {told}");
        }
        self.machine.docker(&["rm", "within", "published"]).ok();
    }

    fn kill_engine(&self) {
        if self.machine.driver() == Driver::Native {
            let warden = self.machine.machine_pid().expect("the warden");
            let engine = wait::child_named(warden, "slipway-agent").expect("the engine");
            wait::signal(engine, rustix::process::Signal::KILL);
        } else {
            self.machine.load_busybox().expect("busybox");
            self.machine.kill_engine();
        }
    }

    fn again(&self) {
        self.compose(&["down"]).ok();
        self.compose(&["up", "--detach", "--wait"]).ok();
        assert_eq!(self.sql("select sum(number) from kept"), "200010000");
    }

    fn down(&self) {
        self.compose(&["down", "--volumes"]).ok();
        for list in [
            &["ps", "-a", "-q"][..],
            &["volume", "ls", "-q"],
            &["network", "ls", "-q", "--filter", "type=custom"],
        ] {
            assert_eq!(self.machine.docker(list).text(), "", "{list:?}");
        }
        assert_ne!(self.curl(&["http://127.0.0.1:18080/direct"]).code, 0);
    }
}
