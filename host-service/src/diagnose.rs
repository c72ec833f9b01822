//! A report for people who help: what runs, where things are, what was found. Holds no secrets:
//! no environment, no container data.

use std::fmt::Write;

use crate::control::Service;
use crate::machine::{diagnose_qemu, disk_used, free_space};
use crate::{VERSION, logs};

/// Lines of the console and of slipwayd's log in the report.
const LINES: usize = 40;

/// Makes the report. Blocks.
pub(crate) fn report(service: &Service) -> String {
    let home = &service.home;
    let mut status = (*service.owner.status().borrow().clone()).clone();
    service.owner.ports().describe(&mut status.machine);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "slipwayd {VERSION}, process {}", std::process::id());
    let _ = writeln!(
        text,
        "system: {} {}",
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    let _ = writeln!(text, "home: {}", home.root().display());
    let _ = writeln!(text, "endpoint: {}", home.endpoint());
    let mib = |bytes: Option<u64>| {
        bytes.map_or_else(
            || "unknown".to_owned(),
            |bytes| format!("{} MiB", bytes >> 20),
        )
    };
    let _ = writeln!(
        text,
        "free on the home's disk: {}",
        mib(free_space(home.root()))
    );
    let _ = writeln!(
        text,
        "taken by the data disk: {}",
        mib(disk_used(&home.data_disk()))
    );
    text.push_str(&diagnose_qemu(home));
    let _ = writeln!(text, "\n== status");
    text.push_str(&serde_json::to_string_pretty(&status).unwrap_or_default());
    for (title, path) in [
        ("console", home.console_log()),
        ("slipwayd's log", home.service_log()),
    ] {
        let _ = writeln!(text, "\n\n== {title}: {}", path.display());
        match logs::tail(&path, LINES) {
            Ok(lines) => text.push_str(&lines.join("\n")),
            Err(error) => text.push_str(&error.to_string()),
        }
    }
    text.push('\n');
    text
}
