//! Images of the programs in `guest/`, which need no package.

use std::fs;
use std::process::Command;

use crate::{Machine, places};

/// Compiles a program and makes an image of it that runs it.
///
/// # Errors
/// A reason to skip the test.
///
/// # Panics
/// When it can't be compiled or imported.
pub fn load(machine: &Machine, name: &str, image: &str) -> Result<(), String> {
    let program = machine.home().join(name);
    let target = places::guest_target();
    let arch = places::guest_arch();
    let rustc = std::env::var("SLIPWAY_TEST_RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let mut compiler = Command::new(rustc);
    if arch != std::env::consts::ARCH {
        compiler.args(["-C", &format!("linker={arch}-linux-gnu-gcc")]);
    }
    let compiled = compiler
        .args([
            "--edition",
            "2024",
            "-O",
            "-C",
            "target-feature=+crt-static",
        ])
        .args(["--target", &target, "-o"])
        .arg(&program)
        .arg(places::workspace().join(format!("tests/guest/{name}.rs")))
        .status()
        .map_err(|error| format!("rustc: {error}"))?;
    assert!(compiled.success(), "{name} was not compiled");
    let archive = machine.home().join(format!("{name}.tar"));
    let mut tar = tar::Builder::new(fs::File::create(&archive).expect("an archive"));
    tar.append_path_with_name(&program, name)
        .and_then(|()| tar.finish())
        .expect("an archive");
    let archive = archive.to_str().expect("a short path");
    let change = format!("ENTRYPOINT [\"/{name}\"]");
    machine
        .docker(&["import", "--change", &change, archive, image])
        .ok();
    Ok(())
}
