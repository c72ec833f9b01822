//! What a person sees while the machine starts or stops.

use std::time::{Duration, Instant};

use client::Updates;
use client::wire::{State, Status, Update};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::failure::Failure;
use crate::output;

/// How the steps are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// From the first one: the person asked for the start.
    AtOnce,
    /// When it takes a while: something else was asked for.
    Late,
    /// As JSON lines, as slipwayd sends them.
    Json,
}

/// What takes longer than this is shown, however quiet the command is.
const A_WHILE: Duration = Duration::from_millis(800);

/// Waits for the end of a start or stop. Its last status is handed back.
///
/// # Errors
/// Why it failed, in slipwayd's words.
pub(crate) async fn follow(mut updates: Updates, shown: Shown) -> Result<Option<Status>, Failure> {
    let begun = Instant::now();
    let mut screen = Screen::new();
    let mut last = None;
    while let Some(update) = updates.next().await {
        let update = update?;
        if shown == Shown::Json {
            output::json(&update);
        }
        match update {
            Update::Status { status } => {
                let now = match shown {
                    Shown::AtOnce => true,
                    Shown::Late => begun.elapsed() >= A_WHILE,
                    Shown::Json => false,
                };
                if now {
                    screen.show(&status);
                }
                last = Some(*status);
            }
            Update::Done => {
                screen.clear();
                return Ok(last);
            }
            Update::Failed { problem } => {
                screen.clear();
                return Err(problem.into());
            }
        }
    }
    screen.clear();
    Err(client::Error::CutShort.into())
}

/// One line that changes on a terminal; a line a step elsewhere.
struct Screen {
    bar: Option<ProgressBar>,
    said: Vec<String>,
}

impl Screen {
    fn new() -> Self {
        let bar = output::err_is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style);
            bar
        });
        Self {
            bar,
            said: Vec::new(),
        }
    }

    fn show(&mut self, status: &Status) {
        let Some(words) = words(status) else { return };
        match &self.bar {
            Some(bar) => {
                bar.enable_steady_tick(Duration::from_millis(100));
                bar.set_message(words);
            }
            None if !self.said.contains(&words) => {
                output::note(&words);
                self.said.push(words);
            }
            None => {}
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What goes on, for people.
fn words(status: &Status) -> Option<String> {
    let machine = &status.machine;
    let step = machine.steps.iter().find(|step| step.ms.is_none());
    let what = match machine.state {
        State::Creating => "Making the data disk",
        State::Stopping => "Stopping the machine",
        State::Starting => match step.map(|step| step.name.as_str()) {
            Some("linux") => "Starting the machine: Linux boots",
            Some("storage") => "Starting the machine: the data disk is checked and mounted",
            Some("engine") => "Starting the machine: the engine comes up",
            Some("api") => "Starting the machine: waiting for the engine's first answer",
            _ => "Starting the machine",
        },
        State::Absent | State::Stopped | State::Running | State::Failed => return None,
    };
    Some(format!("{what} …"))
}
