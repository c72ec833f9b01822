//! Compiles `docker-init`, which needs flags that cargo can't give one program of a workspace.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=init");
    let variable = |name: &str| std::env::var_os(name).unwrap_or_default();
    let output = PathBuf::from(variable("OUT_DIR")).join("docker-init");
    let mut command = Command::new(variable("RUSTC"));
    command
        .args(["--edition", "2024", "--crate-name", "docker_init"])
        .args(["--crate-type", "bin", "init/main.rs", "-o"])
        .arg(&output)
        .arg("--target")
        .arg(variable("TARGET"))
        .args(["-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols"])
        .args(["-Crelocation-model=static", "-Ctarget-feature=+crt-static"])
        .args(["-Clink-arg=-nostartfiles"])
        .args(["-Clink-arg=-nostdlib", "-Clink-arg=-static"])
        .args(["-Clink-arg=-Wl,--build-id=none"]);
    let linker = variable("RUSTC_LINKER");
    if !linker.is_empty() {
        let mut option = std::ffi::OsString::from("-Clinker=");
        option.push(linker);
        command.arg(option);
    }
    let compiled = command.status().is_ok_and(|status| status.success());
    if !compiled {
        println!("cargo::error=docker-init could not be compiled");
    }
}
