//! Docker's profile format, and the rules of it that hold for one process on one kernel.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::numbers::Arch;
use crate::error::Error;

const EPERM: u16 = 1;
const ENOSYS: u16 = 38;

/// A profile as it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    default_action: String,
    default_errno_ret: Option<u16>,
    #[serde(default)]
    architectures: Vec<String>,
    #[serde(default)]
    arch_map: Vec<ArchEntry>,
    #[serde(default)]
    syscalls: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchEntry {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    names: Option<Vec<String>>,
    /// The older form, one name.
    #[serde(default)]
    name: Option<String>,
    action: String,
    #[serde(default)]
    errno_ret: Option<u16>,
    #[serde(default)]
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Option<Filter>,
    #[serde(default)]
    excludes: Option<Filter>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    #[serde(default)]
    caps: Option<Vec<String>>,
    #[serde(default)]
    arches: Option<Vec<String>>,
    #[serde(default)]
    min_kernel: Option<String>,
}

/// What rules are selected by.
pub(super) struct Context<'a> {
    pub(super) capabilities: &'a [String],
    pub(super) kernel: (u32, u32),
    pub(super) native: Arch,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Allow,
    Log,
    Errno(u16),
    Trap,
    Trace(u16),
    KillThread,
    KillProcess,
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// `argument & mask == value`.
    Masked {
        mask: u64,
    },
}

/// A condition on one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) argument: u32,
    pub(super) op: Op,
    pub(super) value: u64,
}

/// What happens to one call: the first rule all of whose conditions hold decides.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct CallRules {
    pub(super) conditional: Vec<(Vec<Condition>, Action)>,
    pub(super) otherwise: Option<Action>,
}

/// The rules that hold, by architecture and number.
pub(super) struct Policy {
    pub(super) default: Action,
    pub(super) calls: BTreeMap<Arch, BTreeMap<u32, CallRules>>,
}

/// Version of the running kernel.
pub(super) fn running_kernel() -> (u32, u32) {
    let uname = rustix::system::uname();
    kernel_version(&uname.release().to_string_lossy()).unwrap_or((0, 0))
}

fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

impl Profile {
    pub(super) fn parse(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json)
            .map_err(|error| Error::Invalid(format!("Decoding seccomp profile failed: {error}")))
    }

    /// Selects the rules for a process.
    pub(super) fn resolve(&self, context: &Context<'_>) -> Result<Policy, Error> {
        let default = action(&self.default_action, self.default_errno_ret)?;
        let mut calls: BTreeMap<Arch, BTreeMap<u32, CallRules>> = self
            .architectures(context.native)?
            .into_iter()
            .map(|arch| (arch, BTreeMap::new()))
            .collect();
        for rule in &self.syscalls {
            if !rule.holds(context) {
                continue;
            }
            let action = action(&rule.action, rule.errno_ret)?;
            let conditions = rule.conditions()?;
            let names = rule.names.iter().flatten().chain(&rule.name);
            for name in names {
                for (arch, table) in &mut calls {
                    // Names that an architecture or this table does not have are ignored, as
                    // Docker does: they keep the default action.
                    if let Some(number) = arch.number(name) {
                        table.entry(number).or_default().add(&conditions, action);
                    }
                }
            }
        }
        Ok(Policy { default, calls })
    }

    fn architectures(&self, native: Arch) -> Result<Vec<Arch>, Error> {
        if !self.architectures.is_empty() && !self.arch_map.is_empty() {
            return Err(invalid("both 'architectures' and 'archMap' are specified"));
        }
        let mapped = self
            .arch_map
            .iter()
            .filter(|entry| Arch::parse(&entry.architecture) == Some(native))
            .flat_map(|entry| entry.sub_architectures.iter().flatten());
        let mut all: Vec<_> = mapped
            .chain(&self.architectures)
            .filter_map(|name| Arch::parse(name))
            .collect();
        all.push(native);
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }
}

impl Rule {
    /// Whether the rule's filters select it.
    fn holds(&self, context: &Context<'_>) -> bool {
        let has = |name: &String| context.capabilities.contains(name);
        let is_native = |name: &String| name == context.native.go_name();
        let old = |version: &String| {
            kernel_version(version).is_some_and(|version| context.kernel < version)
        };
        let none = Filter::default();
        let includes = self.includes.as_ref().unwrap_or(&none);
        let excludes = self.excludes.as_ref().unwrap_or(&none);
        let listed = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
        let arches = listed(&includes.arches);
        (arches.is_empty() || arches.iter().any(is_native))
            && listed(&includes.caps).iter().all(has)
            && !includes.min_kernel.as_ref().is_some_and(old)
            && !listed(&excludes.arches).iter().any(is_native)
            && !listed(&excludes.caps).iter().any(has)
            && excludes.min_kernel.as_ref().is_none_or(old)
    }

    /// Alternatives of conditions that must hold together. Several conditions on one argument are
    /// alternatives, as runc treats them.
    fn conditions(&self) -> Result<Vec<Vec<Condition>>, Error> {
        let conditions = self
            .args
            .iter()
            .flatten()
            .map(condition)
            .collect::<Result<Vec<_>, _>>()?;
        let repeated = conditions.iter().enumerate().any(|(at, condition)| {
            conditions[..at]
                .iter()
                .any(|earlier| earlier.argument == condition.argument)
        });
        Ok(if repeated {
            conditions.into_iter().map(|one| vec![one]).collect()
        } else {
            vec![conditions]
        })
    }
}

impl CallRules {
    fn add(&mut self, alternatives: &[Vec<Condition>], action: Action) {
        for conditions in alternatives {
            if conditions.is_empty() {
                self.otherwise.get_or_insert(action);
            } else {
                self.conditional.push((conditions.clone(), action));
            }
        }
    }
}

fn condition(argument: &Argument) -> Result<Condition, Error> {
    let (op, value) = match argument.op.as_str() {
        "SCMP_CMP_EQ" => (Op::Equal, argument.value),
        "SCMP_CMP_NE" => (Op::NotEqual, argument.value),
        "SCMP_CMP_LT" => (Op::Less, argument.value),
        "SCMP_CMP_LE" => (Op::LessOrEqual, argument.value),
        "SCMP_CMP_GT" => (Op::Greater, argument.value),
        "SCMP_CMP_GE" => (Op::GreaterOrEqual, argument.value),
        "SCMP_CMP_MASKED_EQ" => (
            Op::Masked {
                mask: argument.value,
            },
            argument.value_two,
        ),
        other => return Err(invalid(&format!("unknown operator {other}"))),
    };
    if argument.index > 5 {
        return Err(invalid(&format!(
            "a system call has no argument {}",
            argument.index
        )));
    }
    Ok(Condition {
        argument: argument.index,
        op,
        value,
    })
}

fn action(name: &str, errno: Option<u16>) -> Result<Action, Error> {
    Ok(match name {
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_ERRNO" => Action::Errno(errno.unwrap_or(EPERM)),
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_TRACE" => Action::Trace(errno.unwrap_or(EPERM)),
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        // Nobody would listen for the notification.
        "SCMP_ACT_NOTIFY" => Action::Errno(ENOSYS),
        other => {
            return Err(Error::Invalid(format!(
                "string {other} is not a valid action for seccomp"
            )));
        }
    })
}

fn invalid(why: &str) -> Error {
    Error::Invalid(format!("invalid seccomp profile: {why}"))
}
