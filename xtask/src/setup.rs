//! `cargo xtask setup`: installs what is missing, by the names that Debian, Ubuntu and Homebrew use,
//! and fetches the clients and servers that tests drive. What is there already is left alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::arch::Arch;
use crate::clients;
use crate::packages::Suite;
use crate::progress::{output, run, say, step};
use crate::project::{Project, cargo};

/// The package of the QEMU that runs machines like this computer.
const NATIVE_QEMU: &[&str] = &[Arch::NATIVE.qemu().1];

/// What a command needs on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A C compiler and a linker.
    Build,
    /// To make the machine's image.
    Image,
    /// To run the machine.
    Machine,
    /// To build the window.
    Window,
    /// What tests use beside that.
    Tests,
    /// To check the Windows build.
    Cross,
    /// To run it.
    Wine,
    /// To see the page in a browser.
    Browser,
    /// To run real applications and speak to them.
    Applications,
    /// To build for machines with another processor, and to run them.
    Arch(Arch),
}

/// Everything but what only the long checks need.
pub(crate) const ALL: [Need; 5] = [
    Need::Build,
    Need::Image,
    Need::Machine,
    Need::Window,
    Need::Tests,
];

impl Need {
    fn debian(self) -> &'static [&'static str] {
        match self {
            Self::Build => &["build-essential", "pkg-config"],
            Self::Image => &["genext2fs", "debian-archive-keyring"],
            Self::Machine => NATIVE_QEMU,
            Self::Arch(Arch::Amd64) => &[
                "gcc-x86-64-linux-gnu",
                "libc6-dev-amd64-cross",
                "qemu-system-x86",
            ],
            Self::Arch(Arch::Arm64) => &[
                "gcc-aarch64-linux-gnu",
                "libc6-dev-arm64-cross",
                "qemu-system-arm",
            ],
            Self::Window => &[
                "libwebkit2gtk-4.1-dev",
                "libayatana-appindicator3-dev",
                "librsvg2-dev",
                "libxdo-dev",
                "file",
                "fonts-dejavu-core",
                "fonts-noto-cjk",
            ],
            Self::Tests => &[
                "busybox-static",
                "dbus",
                "dbus-x11",
                "dnsmasq-base",
                "e2fsprogs",
                "iproute2",
                "nftables",
                "python3",
                "python3-pip",
                "webkit2gtk-driver",
                "x11-utils",
                "xauth",
                "xvfb",
                "xz-utils",
            ],
            Self::Cross => &["gcc-mingw-w64-x86-64-win32", "mingw-w64-x86-64-dev"],
            Self::Wine => &["wine", "wine64"],
            Self::Browser => &["chromium"],
            Self::Applications => &["curl", "mmdebstrap", "postgresql-client"],
        }
    }

    fn homebrew(self) -> &'static [&'static str] {
        match self {
            Self::Image => &["genext2fs"],
            Self::Machine => &["qemu"],
            Self::Tests => &["docker"],
            Self::Cross => &["mingw-w64"],
            Self::Build
            | Self::Window
            | Self::Wine
            | Self::Browser
            | Self::Applications
            | Self::Arch(_) => &[],
        }
    }
}

/// Installs what the needs ask for and this machine lacks.
pub(crate) fn system(needs: &[Need]) -> Result<()> {
    if std::env::consts::OS == "macos" {
        return homebrew(needs);
    }
    if !Path::new("/usr/bin/dpkg-query").exists() {
        say("==> not Debian, Ubuntu or macOS: install by hand what a later step finds missing");
        return Ok(());
    }
    let wanted = needs.iter().flat_map(|need| need.debian());
    let missing: Vec<&str> = wanted.copied().filter(|name| !is_installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    step(&format!("installing {}", missing.join(" ")), || {
        run(as_root("apt-get")?.args(["-q", "update"]))?;
        run(as_root("apt-get")?
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-q", "install", "-y", "--no-install-recommends"])
            .args(&missing))
    })
}

/// Installs programs that come as Rust packages, each by the name of its package.
pub(crate) fn cargo_programs(programs: &[(&str, &str)]) -> Result<()> {
    for (program, package) in programs {
        if Command::new(program).arg("--version").output().is_ok() {
            continue;
        }
        step(&format!("installing {package}"), || {
            run(Command::new(cargo()).args(["install", "--quiet", "--locked", package]))
        })?;
    }
    Ok(())
}

fn is_installed(name: &str) -> bool {
    output(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", name]))
        .is_ok_and(|status| status == "installed")
}

fn as_root(program: &str) -> Result<Command> {
    if output(Command::new("id").arg("-u"))?.trim() == "0" {
        return Ok(Command::new(program));
    }
    if !Path::new("/usr/bin/sudo").exists() {
        bail!("installing packages needs root: run `cargo xtask setup` as root, or install sudo");
    }
    let mut command = Command::new("sudo");
    command.arg("--preserve-env=DEBIAN_FRONTEND").arg(program);
    Ok(command)
}

fn homebrew(needs: &[Need]) -> Result<()> {
    let wanted = needs.iter().flat_map(|need| need.homebrew());
    let missing: Vec<&str> = wanted
        .copied()
        .filter(|name| output(Command::new("brew").args(["list", "--versions", name])).is_err())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    step(&format!("installing {}", missing.join(" ")), || {
        run(Command::new("brew").arg("install").args(&missing))
    })
}

/// Installs the packages of the window's page, when the lock file changed since the last time.
pub(crate) fn page(project: &Project) -> Result<()> {
    let ui = project.root.join("ui");
    let installed = modified(&ui.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= modified(&ui.join("package-lock.json")) {
        return Ok(());
    }
    if output(Command::new("npm").arg("--version")).is_err() {
        bail!(
            "the window's page needs Node.js 20.19 or newer with npm: install them, then try again"
        );
    }
    step("the page's packages", || {
        run(Command::new("npm").current_dir(&ui).args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ]))
    })
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
}

/// Debian's suite with a current Docker client, and what tests take from it.
pub(crate) const TOOLS_SUITE: &str = "forky";
const TOOLS: [&str; 4] = [
    "docker-cli",
    "docker-registry",
    "docker-compose",
    "docker-buildx",
];
/// Where Debian puts the client's plugins.
const PLUGINS: &str = "usr/libexec/docker/cli-plugins";

/// Unpacks the real docker client, its plugins and a registry into `target/tools/root`; nothing is
/// installed. `target/tools/root/docker-config` is a `DOCKER_CONFIG` that knows the plugins.
pub(crate) fn tools(project: &Project) -> Result<()> {
    let suite = Suite::new(project, TOOLS_SUITE);
    let packages = suite.fetch(&TOOLS.map(str::to_owned), false)?;
    let root = project.tools();
    let stamp = root.join("packages");
    let mark: String = packages
        .iter()
        .map(|package| format!("{} {}\n", package.name, package.version))
        .collect();
    if fs::read_to_string(&stamp).is_ok_and(|found| found == mark) {
        return Ok(());
    }
    step("docker's client and registry for tests", || {
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("removing {}", root.display()))?;
        }
        fs::create_dir_all(&root).with_context(|| format!("creating {}", root.display()))?;
        for package in &packages {
            run(Command::new("cp")
                .arg("-a")
                .arg(package.root.join("."))
                .arg(&root))?;
        }
        let plugins = root.join("docker-config/cli-plugins");
        fs::create_dir_all(&plugins).with_context(|| format!("creating {}", plugins.display()))?;
        let from = root.join(PLUGINS);
        let entries = fs::read_dir(&from).with_context(|| format!("listing {}", from.display()))?;
        for entry in entries {
            let name = entry
                .with_context(|| format!("listing {}", from.display()))?
                .file_name();
            let link = plugins.join(&name);
            std::os::unix::fs::symlink(Path::new("../..").join(PLUGINS).join(&name), &link)
                .with_context(|| format!("linking {}", link.display()))?;
        }
        fs::write(&stamp, &mark).with_context(|| format!("writing {}", stamp.display()))
    })
}

/// `cargo xtask setup`.
pub(crate) fn command(project: &Project) -> Result<()> {
    system(&ALL)?;
    page(project)?;
    tools(project)?;
    clients::fetch(project)?;
    let version = output(Command::new(Arch::NATIVE.qemu().0).arg("--version"))
        .map_err(|error| error.context(anyhow!("QEMU does not start after its installation")))?;
    say(format_args!(
        "everything is set up; {}",
        version.lines().next().unwrap_or_default()
    ));
    Ok(())
}
