//! `cargo xtask fuzz [TARGET]`: builds the targets of `guest-agent/fuzz` so that it is seen which code an
//! input reaches, and runs them. What is worth keeping stays in the target directory, so that each run
//! begins where the last one ended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::progress::{run, say, step};
use crate::project::{Project, cargo};
use crate::setup::{self, Need};

/// What there is, and the longest input of each.
const TARGETS: [(&str, u32); 10] = [
    ("layers", 4096),
    ("load", 16_384),
    ("extract", 4096),
    ("api", 2048),
    ("link", 4096),
    ("logs", 8192),
    ("names", 2048),
    ("registry", 2048),
    ("wire", 4096),
    ("words", 1024),
];

/// What to fuzz, and for how long.
#[derive(Args)]
pub(crate) struct Options {
    /// One target; all of them one after the other when there is none
    #[arg(value_parser = PossibleValuesParser::new(names()))]
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Run the target once, with the input in this file
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
}

/// The targets' names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TARGETS.into_iter().map(|(name, _)| name)
}

/// `cargo xtask fuzz`.
pub(crate) fn command(project: &Project, options: &Options) -> Result<()> {
    setup::system(&[Need::Build, Need::Tests])?;
    build(project, options.target.as_deref())?;
    let wanted = |name: &&str| options.target.as_deref().is_none_or(|only| only == *name);
    if let Some(input) = &options.input {
        return names()
            .filter(wanted)
            .try_for_each(|name| once(project, name, input));
    }
    let mut found = Vec::new();
    for name in names().filter(wanted) {
        if let Err(error) = fuzz(project, name, options.seconds) {
            say(format_args!("==> FOUND {name}: {error:#}"));
            found.push(name);
        }
    }
    match found[..] {
        [] => Ok(()),
        _ => bail!("fuzzing has found something: {}", found.join(", ")),
    }
}

/// Builds one target, or all. Only what runs in them is instrumented: with a target given, cargo builds
/// its own helpers without these flags.
pub(crate) fn build(project: &Project, only: Option<&str>) -> Result<()> {
    const FLAGS: [&str; 5] = [
        "-Cpasses=sancov-module",
        "-Cllvm-args=-sanitizer-coverage-level=4",
        "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
        "-Cllvm-args=-sanitizer-coverage-pc-table",
        "-Cllvm-args=-sanitizer-coverage-trace-compares",
    ];
    let triple = project.guest.target();
    step("the fuzz targets", || {
        let mut command = Command::new(cargo());
        command
            .current_dir(&project.root)
            .args(["build", "--profile", "fuzz", "--package", "fuzz"])
            .args(["--target", &triple, "--config"])
            .arg(format!("target.{triple}.rustflags={FLAGS:?}"));
        match only {
            Some(name) => command.args(["--bin", &program_name(name)]),
            None => command.arg("--bins"),
        };
        run(&mut command)
    })
}

/// Runs a target for a while, and says in a line what came of it.
pub(crate) fn fuzz(project: &Project, name: &str, seconds: u64) -> Result<()> {
    let home = Home::make(project, name)?;
    let longest = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, longest) = longest.ok_or_else(|| anyhow!("there is no fuzz target {name}"))?;
    let log = File::create(home.log()).with_context(|| home.log().display().to_string())?;
    let before = home.findings()?;
    let mut command = target(project, name, &home);
    command
        .env("SLIPWAY_FUZZ_SEEDS", home.seeds())
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={longest}"))
        .args(["-timeout=30", "-rss_limit_mb=2048", "-print_final_stats=1"])
        .args([home.corpus(), home.seeds()])
        .stdout(log.try_clone().context("sharing the log")?)
        .stderr(log);
    let status = command.status().context("starting the fuzz target")?;
    let report = Report::read(&home.log())?;
    say(format_args!("    fuzz {name}: {report}"));
    if status.success() {
        return Ok(());
    }
    let known = |path: &PathBuf| before.contains(path);
    let new: Vec<PathBuf> = home.findings()?.into_iter().filter(|p| !known(p)).collect();
    let again: Vec<String> = new
        .iter()
        .map(|path| {
            let path = path.display();
            format!("\n  {path}\n  again: cargo xtask fuzz {name} --input {path}")
        })
        .collect();
    bail!(
        "it ended with {status}; {} tells more{}",
        home.log().display(),
        again.concat()
    )
}

/// Runs a target with one input, and shows all that it says.
fn once(project: &Project, name: &str, input: &Path) -> Result<()> {
    let home = Home::make(project, name)?;
    let input = std::path::absolute(input).context("resolving the input's path")?;
    // A target may see no other part of the file system.
    let copy = home.0.join("input");
    fs::copy(&input, &copy).with_context(|| format!("reading {}", input.display()))?;
    run(target(project, name, &home).arg(copy))
}

fn target(project: &Project, name: &str, home: &Home) -> Command {
    let program = project.target.join(project.guest.target()).join("fuzz");
    let mut command = Command::new(program.join(program_name(name)));
    command
        .env("SLIPWAY_FUZZ_DIR", &home.0)
        .arg(format!("-artifact_prefix={}/", home.found().display()));
    command
}

fn program_name(name: &str) -> String {
    format!("fuzz-{name}")
}

/// Where a target keeps what it knows.
struct Home(PathBuf);

impl Home {
    fn make(project: &Project, name: &str) -> Result<Self> {
        let home = Self(project.target.join("fuzzing").join(name));
        for path in [home.corpus(), home.seeds(), home.found()] {
            fs::create_dir_all(&path).with_context(|| format!("making {}", path.display()))?;
        }
        Ok(home)
    }

    fn corpus(&self) -> PathBuf {
        self.0.join("corpus")
    }

    fn seeds(&self) -> PathBuf {
        self.0.join("seeds")
    }

    fn found(&self) -> PathBuf {
        self.0.join("findings")
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    fn findings(&self) -> Result<Vec<PathBuf>> {
        let path = self.found();
        let entries = fs::read_dir(&path).with_context(|| format!("listing {}", path.display()))?;
        entries
            .map(|entry| Ok(entry.context("listing findings")?.path()))
            .collect()
    }
}

/// What a run came to, by what libFuzzer prints.
#[derive(Debug, Default, PartialEq)]
struct Report {
    runs: u64,
    /// Edges that were reached by what was known, and in the end.
    coverage: (u64, u64),
    /// Inputs that are worth keeping.
    corpus: u64,
}

impl Report {
    fn read(log: &Path) -> Result<Self> {
        let log = fs::read(log).with_context(|| format!("reading {}", log.display()))?;
        Ok(Self::of(&String::from_utf8_lossy(&log)))
    }

    /// Lines are such as `#4096 pulse cov: 12 ft: 34 corp: 5/67b …`.
    fn of(log: &str) -> Self {
        let mut report = Self::default();
        for line in log.lines().filter(|line| line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let after = |name: &str| -> Option<u64> {
                let at = words.iter().position(|word| *word == name)?;
                words.get(at + 1)?.split('/').next()?.parse().ok()
            };
            let Some(reached) = after("cov:") else {
                continue;
            };
            let runs = words.first().and_then(|word| word[1..].parse().ok());
            report.runs = runs.unwrap_or(report.runs);
            report.corpus = after("corp:").unwrap_or(report.corpus);
            if words.get(1) == Some(&"INITED") {
                report.coverage.0 = reached;
            }
            report.coverage.1 = reached;
        }
        report
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            runs,
            coverage: (before, after),
            corpus,
        } = self;
        write!(
            f,
            "{runs} runs, cov {before} to {after}, {corpus} inputs kept"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_from_what_it_prints() {
        let log = "INFO: Seed: 1\n#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                   #9\tNEW    cov: 12 ft: 15 corp: 2/5b lim: 4 exec/s: 0\nnoise\n\
                   #4096\tDONE   cov: 12 ft: 15 corp: 2/5b lim: 4 exec/s: 4096\n";
        let report = Report::of(log);
        assert_eq!(report.to_string(), "4096 runs, cov 10 to 12, 2 inputs kept");
    }
}
