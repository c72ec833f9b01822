//! `cargo xtask package`: the Debian package of what a person installs, from the files in `installer`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::progress::{output, run, say, step};
use crate::project::{Project, cargo};
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
    step("the programs, as they are shipped", || {
        let packages = ["cli", "host-service", "slipway-desktop"];
        let packages = packages.iter().flat_map(|name| ["--package", name]);
        run(Command::new(cargo())
            .current_dir(&project.root)
            .args(["build", "--release"])
            .args(packages))
    })?;
    let folder = project.target.join("package");
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("removing {}", root.display()))?;
    }
    step("the package", || {
        stage(project, &root)?;
        let control = control(project, &root)?;
        let package = folder.join(control.file_name());
        put(&root.join("DEBIAN/control"), &control.text, 0o644)?;
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

/// Lays out what the package holds.
fn stage(project: &Project, root: &Path) -> Result<()> {
    let lib = root.join(LIB);
    let release = project.target.join("release");
    for (from, programs) in [
        (&release, &HOST_PROGRAMS[..]),
        (&project.guest_programs(), &GUEST_PROGRAMS[..]),
    ] {
        for name in programs {
            copy(&from.join(name), &lib.join(name), 0o755)?;
            run(Command::new("strip").arg(lib.join(name)))?;
        }
    }
    for entry in fs::read_dir(project.image()).context("reading the machine's image")? {
        let from = entry.context("reading the machine's image")?.path();
        if from.is_file() {
            let name = from.file_name().context("a file without a name")?;
            copy(&from, &lib.join("image").join(name), 0o644)?;
        }
    }
    let bin = root.join("usr/bin");
    make_directory(&bin)?;
    for name in CALLED {
        let target = format!("../lib/slipway/{name}");
        symlink(target, bin.join(name)).with_context(|| format!("linking {name}"))?;
    }
    let source = project.root.join("installer/linux/slipway.desktop");
    let entry = root.join("usr/share/applications/slipway.desktop");
    copy(&source, &entry, 0o644)?;
    for (size, file) in ICONS {
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
        let to = format!("usr/share/icons/hicolor/{size}/apps/slipway.{extension}");
        let from = project.root.join("src-tauri/icons").join(file);
        copy(&from, &root.join(to), 0o644)?;
    }
    for (shell, path) in SHELLS {
        let command = &mut Command::new(lib.join("slipway"));
        let script = output(command.args(["completions", shell]))?;
        put(&root.join(path), &script, 0o644)?;
    }
    let licence = root.join("usr/share/doc/slipway/copyright");
    copy(&project.root.join("LICENSE"), &licence, 0o644)
}

/// The package's description.
struct Control {
    text: String,
    version: String,
    architecture: String,
}

impl Control {
    fn file_name(&self) -> String {
        format!("slipway_{}_{}.deb", self.version, self.architecture)
    }
}

fn control(project: &Project, root: &Path) -> Result<Control> {
    let path = project.root.join("installer/linux/control");
    let template =
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let architecture = output(Command::new("dpkg").arg("--print-architecture"))?;
    let size = output(
        Command::new("du")
            .args(["-sk", "--apparent-size"])
            .arg(root),
    )?;
    let size = size.split_whitespace().next().unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let text = template
        .replace("@VERSION@", &version)
        .replace("@ARCHITECTURE@", architecture.trim())
        .replace("@SIZE@", size);
    Ok(Control {
        text,
        version,
        architecture: architecture.trim().to_owned(),
    })
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

fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    make_directory(to.parent().unwrap_or(to))?;
    fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    set_mode(to, mode)
}

fn put(to: &Path, text: &str, mode: u32) -> Result<()> {
    make_directory(to.parent().unwrap_or(to))?;
    fs::write(to, text).with_context(|| format!("writing {}", to.display()))?;
    set_mode(to, mode)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("setting the mode of {}", path.display()))
}

/// Directories of a package are open to all, whatever the umask.
fn make_directory(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    make_directory(path.parent().unwrap_or(path))?;
    fs::create_dir(path).with_context(|| format!("creating {}", path.display()))?;
    set_mode(path, 0o755)
}
