//! `cargo xtask package`: the Debian package of what a person installs, from the files in `installer`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::image::tree::{Node, Tree};
use crate::progress::{output, run, say, step};
use crate::project::Project;
use crate::run::end_service;
use crate::{build, image};

/// Where programs and image are, side by side.
const LIB: &str = "usr/lib/slipway";
/// The person's programs, then the machine's, which native mode runs.
const HOST_PROGRAMS: [&str; 3] = ["slipway", "slipwayd", "slipway-desktop"];
const GUEST_PROGRAMS: [&str; 2] = ["slipway-warden", "slipway-agent"];
/// Those of them that people call.
const CALLED: [&str; 2] = ["slipway", "slipway-desktop"];
/// Shells, and where each looks for completions of a package's commands.
const SHELLS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/slipway"),
    ("zsh", "usr/share/zsh/vendor-completions/_slipway"),
    ("fish", "usr/share/fish/vendor_completions.d/slipway.fish"),
];
/// The window's icons by size.
const ICONS: [(&str, &str); 3] = [
    ("32x32", "32x32.png"),
    ("128x128", "128x128.png"),
    ("scalable", "slipway.svg"),
];

/// Builds all that is shipped and the package; where it is.
pub(crate) fn command(project: &Project) -> Result<PathBuf> {
    build::guest(project)?;
    image::ensure(project, false, false)?;
    build::page(project)?;
    build::shipped(project, true)?;
    step("the package", || {
        let mut tree = contents(project)?;
        let version = env!("CARGO_PKG_VERSION");
        let architecture = output(Command::new("dpkg").arg("--print-architecture"))?;
        let architecture = architecture.trim();
        let control = read(&project.root.join("installer/linux/control"))?;
        let control = String::from_utf8(control)
            .context("reading the package's description")?
            .replace("@VERSION@", version)
            .replace("@ARCHITECTURE@", architecture)
            .replace("@SIZE@", &kibibytes(&tree).to_string());
        tree.file("DEBIAN/control", control.into_bytes(), 0o644);
        let folder = project.target.join("package");
        let root = folder.join("root");
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("removing {}", root.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        tree.write_to(&root)?;
        let package = folder.join(format!("slipway_{version}_{architecture}.deb"));
        run(Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Zxz", "--build"])
            .arg(&root)
            .arg(&package)
            .env("SOURCE_DATE_EPOCH", commit_time(project)?))?;
        let size = fs::metadata(&package)
            .with_context(|| format!("examining {}", package.display()))?
            .len();
        say(format_args!(
            "{}, {} MB: apt-get install it by this path",
            package.display(),
            size / 1_000_000
        ));
        Ok(package)
    })
}

/// What the package holds.
fn contents(project: &Project) -> Result<Tree> {
    let mut tree = Tree::default();
    let release = project.shipped_programs();
    for (from, programs) in [
        (&release, &HOST_PROGRAMS[..]),
        (&project.guest_programs(), &GUEST_PROGRAMS[..]),
    ] {
        for name in programs {
            tree.file(&format!("{LIB}/{name}"), read(&from.join(name))?, 0o755);
        }
    }
    for entry in fs::read_dir(project.image()).context("reading the machine's image")? {
        let entry = entry.context("reading the machine's image")?;
        let name = entry.file_name();
        if entry.path().is_file() {
            let to = format!("{LIB}/image/{}", name.display());
            tree.file(&to, read(&entry.path())?, 0o644);
        }
    }
    for name in CALLED {
        tree.link(
            &format!("usr/bin/{name}"),
            &format!("../lib/slipway/{name}"),
        );
    }
    for (size, file) in ICONS {
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
        let to = format!("usr/share/icons/hicolor/{size}/apps/slipway.{extension}");
        let from = project.root.join("src-tauri/icons").join(file);
        tree.file(&to, read(&from)?, 0o644);
    }
    for (shell, path) in SHELLS {
        let command = &mut Command::new(release.join("slipway"));
        let script = output(command.args(["completions", shell]))?;
        tree.file(path, script.into_bytes(), 0o644);
    }
    for (from, to) in [
        (
            "installer/linux/slipway.desktop",
            "usr/share/applications/slipway.desktop",
        ),
        ("LICENSE", "usr/share/doc/slipway/copyright"),
    ] {
        tree.file(to, read(&project.root.join(from))?, 0o644);
    }
    Ok(tree)
}

/// What the files take once they are installed.
fn kibibytes(tree: &Tree) -> usize {
    let lengths = tree.entries().map(|(_, node)| match node {
        Node::File(bytes, _) => bytes.len(),
        Node::Directory(_) | Node::Link(_) => 0,
    });
    lengths.sum::<usize>().div_ceil(1024)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// The time that the package's files get at most: builds of one commit are the same.
fn commit_time(project: &Project) -> Result<String> {
    let mut git = Command::new("git");
    git.current_dir(&project.root)
        .args(["log", "-1", "--format=%ct"]);
    Ok(output(&mut git)?.trim().to_owned())
}

/// Unpacks the package, checks what apt would say of it, and runs a container from it.
pub(crate) fn check(project: &Project) -> Result<()> {
    let package = command(project)?;
    let folder = tempfile::tempdir().context("making a folder for the package")?;
    let (root, home) = (folder.path().join("root"), folder.path().join("home"));
    run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&root))?;
    run(Command::new("apt-get")
        .args(["install", "--simulate", "-qq"])
        .arg(&package))?;
    let slipway = |arguments: &[&str]| {
        let mut command = Command::new(root.join("usr/bin/slipway"));
        command.args(arguments).env("SLIPWAY_HOME", &home);
        for name in ["SLIPWAY_IMAGE_DIR", "SLIPWAY_SLIPWAYD", "SLIPWAY_GUEST_DIR"] {
            command.env_remove(name);
        }
        output(&mut command)
    };
    let said = slipway(&["run", "--rm", "slipway/hello"]);
    let stopped = slipway(&["machine", "stop"]);
    end_service(&home);
    ensure!(
        said?.contains("Hello from Slipway"),
        "the container of the package said something else"
    );
    stopped.map(drop)
}
