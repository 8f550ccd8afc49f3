//! Variables of the whole Dockerfile: build arguments, platform arguments, the `ARG`s before the
//! first `FROM`.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::dockerfile::Dockerfile;
use crate::dockerfile::Error;
use crate::dockerfile::Lexing;
use crate::dockerfile::Options;
use crate::dockerfile::OutlineArg;
use crate::dockerfile::PlanProblem;
use crate::dockerfile::Problem;
use crate::dockerfile::Span;
use crate::dockerfile::environment::Environment;
use crate::dockerfile::epoch;

const EPOCH: &str = "SOURCE_DATE_EPOCH";
/// The end of the year 9999, the last that the times of an image can tell.
const EPOCH_LAST: i64 = 253_402_300_799;

/// Variables of the whole Dockerfile.
#[derive(Debug)]
pub(super) struct Globals {
    /// What `--build-arg` gives.
    pub(super) build_args: BTreeMap<String, String>,
    /// What `FROM` sees, and an `ARG` of a stage without a value of its own.
    pub(super) environment: Environment,
    /// The `ARG`s before the first `FROM`, the last of each name.
    pub(super) args: BTreeMap<String, GlobalArg>,
    /// The time that stands for all times, in seconds.
    pub(super) epoch: Option<i64>,
}

/// An `ARG` before the first `FROM`.
#[derive(Debug)]
pub(super) struct GlobalArg {
    /// What is told of it.
    pub(super) arg: OutlineArg,
    /// The variables that its default is made of.
    pub(super) needs: BTreeSet<String>,
}

/// Evaluates the `ARG`s before the first `FROM`.
pub(super) fn evaluate(dockerfile: &Dockerfile, options: &Options) -> Result<Globals, Error> {
    let mut build_args = options.build_args.clone();
    if let Some(epoch) = options.epoch {
        let entry = build_args.entry(EPOCH.to_owned());
        entry.or_insert_with(|| epoch.to_string());
    }
    let (environment, args) = environment(dockerfile, options, &build_args)?;
    let mut globals = Globals {
        args,
        build_args,
        environment,
        epoch: None,
    };
    globals.settle_epoch(dockerfile, options)?;
    Ok(globals)
}

/// Gives what `FROM` would see if no `ARG` before the first one were given a value.
pub(super) fn defaults(dockerfile: &Dockerfile, options: &Options) -> Result<Environment, Error> {
    environment(dockerfile, options, &BTreeMap::new()).map(|(environment, _)| environment)
}

/// Evaluates the `ARG`s before the first `FROM`, some of which may have been `given` values.
fn environment(
    dockerfile: &Dockerfile,
    options: &Options,
    given: &BTreeMap<String, String>,
) -> Result<(Environment, BTreeMap<String, GlobalArg>), Error> {
    let lexing = Lexing::words(dockerfile.escape);
    let mut environment = Environment::default();
    for (name, value) in platform_args(dockerfile, options) {
        environment.set(name, options.build_args.get(name).unwrap_or(&value));
    }
    let mut args = BTreeMap::new();
    for statement in &dockerfile.meta_args {
        for declaration in &statement.instruction.declarations {
            let name = &declaration.key.text;
            let mut needs = BTreeSet::new();
            let value = match (given.get(name), &declaration.value) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => {
                    let expansion = environment.expand(default, lexing)?;
                    needs = expansion.matched;
                    Some(expansion.text)
                }
                (None, None) => None,
            };
            if let Some(value) = &value {
                environment.set(name, value);
            }
            let arg = OutlineArg {
                name: name.clone(),
                value: value.unwrap_or_default(),
                description: declaration.comment.clone(),
                span: statement.source.span,
            };
            declare(&mut args, GlobalArg { arg, needs });
        }
    }
    Ok((environment, args))
}

/// Adds a declaration. It replaces one of the same name; if it is made of that one, it needs what
/// that one needs.
fn declare(args: &mut BTreeMap<String, GlobalArg>, mut new: GlobalArg) {
    let is_of_itself = new.needs.remove(&new.arg.name);
    if let Some(old) = args.remove(&new.arg.name)
        && is_of_itself
    {
        new.needs.extend(old.needs);
    }
    args.insert(new.arg.name.clone(), new);
}

impl Globals {
    /// Reads `SOURCE_DATE_EPOCH`. A source that is named instead of a number (`context`) says
    /// nothing of its time here, which is as if nothing were given.
    fn settle_epoch(&mut self, dockerfile: &Dockerfile, options: &Options) -> Result<(), Error> {
        let given = self.build_args.get(EPOCH).map(String::as_str);
        let Some(text) = given.or_else(|| self.environment.get(EPOCH)) else {
            return Ok(());
        };
        if let Ok(seconds @ 0..=EPOCH_LAST) = text.parse() {
            self.epoch = Some(seconds);
            return Ok(());
        }
        let mut stages = dockerfile.stages.iter();
        let stage = stages.find(|stage| {
            let name = stage.from.instruction.name.as_ref();
            name.is_some_and(|name| name.text.eq_ignore_ascii_case(text))
        });
        let is_source = text.is_empty()
            || text == "context"
            || options.named_context(text, &options.host).is_some();
        if let (false, Some(stage)) = (is_source, stage) {
            let mut environment = self.environment.clone();
            environment.remove(EPOCH);
            epoch::check(stage, &self.build_args, environment, dockerfile.escape)?;
        } else if !is_source {
            let args = dockerfile.meta_args.iter();
            let mut declarations = args.flat_map(|statement| &statement.instruction.declarations);
            let declared = declarations
                .rfind(|declaration| given.is_none() && declaration.key.text == EPOCH)
                .and_then(|declaration| declaration.value.as_ref());
            let span = declared.map_or(Span::default(), |value| value.span);
            let text = text.to_owned();
            let problem = Problem::Plan(PlanProblem::Epoch { text });
            return Err(Error::new(span, problem));
        }
        self.build_args.remove(EPOCH);
        self.environment.remove(EPOCH);
        Ok(())
    }
}

fn platform_args(dockerfile: &Dockerfile, options: &Options) -> [(&'static str, String); 11] {
    let host = &options.host;
    let target = options.target_platform();
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let last = dockerfile.stages.last();
    let last = last.and_then(|stage| stage.from.instruction.name.as_ref());
    let stage = options.target.as_deref().or(last.map(|name| name.as_str()));
    [
        ("BUILDPLATFORM", host.to_string()),
        ("BUILDOS", host.os.clone()),
        ("BUILDOSVERSION", text(&host.os_version)),
        ("BUILDARCH", host.architecture.clone()),
        ("BUILDVARIANT", text(&host.variant)),
        ("TARGETPLATFORM", target.to_string()),
        ("TARGETOS", target.os.clone()),
        ("TARGETOSVERSION", text(&target.os_version)),
        ("TARGETARCH", target.architecture.clone()),
        ("TARGETVARIANT", text(&target.variant)),
        ("TARGETSTAGE", stage.unwrap_or("default").to_owned()),
    ]
}
