//! The steps of a start: told to the owner as they begin, and kept for the record.

use std::time::Instant;

use client::wire::Step;

use super::{Progress, Start};

/// The steps so far.
#[derive(Debug)]
pub(super) struct Steps {
    start: Option<Start>,
    list: Vec<Step>,
    began: Instant,
}

impl Steps {
    /// Steps that are told.
    pub(super) fn told(start: &Start) -> Self {
        Self {
            start: Some(start.clone()),
            list: Vec::new(),
            began: Instant::now(),
        }
    }

    /// Steps of a start that is over: told to nobody.
    pub(super) fn untold() -> Self {
        Self {
            start: None,
            list: Vec::new(),
            began: Instant::now(),
        }
    }

    /// The step before has ended, this one begins.
    pub(super) fn begin(&mut self, name: &'static str) {
        if self.list.last().is_some_and(|step| step.name == name) {
            return;
        }
        self.end();
        self.began = Instant::now();
        self.list.push(Step {
            name: name.to_owned(),
            ms: None,
        });
        if let Some(start) = &self.start {
            start.say(Progress::Steps(self.list.clone()));
        }
    }

    /// The guest tells on its console which step is done.
    pub(super) fn done(&mut self, name: &str) {
        match name {
            "linux" => self.begin("storage"),
            "storage" => self.begin("engine"),
            "engine" => self.begin("api"),
            // A newer guest may have more steps.
            _ => {}
        }
    }

    /// All are done. The engine may have answered before its step was told.
    pub(super) fn finish(&mut self) -> Vec<Step> {
        const ORDER: [&str; 4] = ["linux", "storage", "engine", "api"];
        let last = self
            .list
            .last()
            .map(|step| step.name.clone())
            .unwrap_or_default();
        let done = ORDER
            .iter()
            .position(|name| *name == last)
            .map_or(0, |at| at + 1);
        for name in &ORDER[done..] {
            self.begin(name);
        }
        self.end();
        if let Some(start) = &self.start {
            start.say(Progress::Steps(self.list.clone()));
        }
        self.list.clone()
    }

    /// The start begins again.
    pub(super) fn again(&mut self) {
        self.list.clear();
    }

    fn end(&mut self) {
        let elapsed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Some(step) = self.list.last_mut().filter(|step| step.ms.is_none()) {
            step.ms = Some(elapsed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Steps;

    fn names(steps: &mut Steps) -> Vec<String> {
        let list = steps.finish();
        assert!(list.iter().all(|step| step.ms.is_some()), "{list:?}");
        list.into_iter().map(|step| step.name).collect()
    }

    #[test]
    fn all_steps_are_there_whatever_was_told() {
        let all = ["prepare", "linux", "storage", "engine", "api"];
        for told in 0..=3 {
            let mut steps = Steps::untold();
            steps.begin("prepare");
            steps.begin("linux");
            for name in ["linux", "storage", "engine"].iter().take(told) {
                steps.done(name);
            }
            assert_eq!(names(&mut steps), all);
        }
        let mut native = Steps::untold();
        native.begin("prepare");
        native.begin("engine");
        assert_eq!(names(&mut native), ["prepare", "engine", "api"]);
    }
}
