//! A stage that `SOURCE_DATE_EPOCH` names: the time is that of what it fetches.

use std::collections::BTreeMap;

use crate::dockerfile::Error;
use crate::dockerfile::Escape;
use crate::dockerfile::Instruction;
use crate::dockerfile::Lexing;
use crate::dockerfile::PlanProblem;
use crate::dockerfile::Problem;
use crate::dockerfile::Span;
use crate::dockerfile::Stage;
use crate::dockerfile::environment::Environment;
use crate::dockerfile::instruction::Add;
use crate::dockerfile::lower::Source;
use crate::dockerfile::lower::read_source;

/// Fails if a stage does more than fetch one thing: `FROM scratch`, any `ARG`s, and one `ADD` of a
/// URL or a git repository.
pub(super) fn check(
    stage: &Stage,
    build_args: &BTreeMap<String, String>,
    mut environment: Environment,
    escape: Escape,
) -> Result<(), Error> {
    let lexing = Lexing::words(escape);
    let from = &stage.from;
    let wrong = |span, reason| {
        let problem = Problem::Plan(PlanProblem::EpochStage { reason });
        Err(Error::new(span, problem))
    };
    if environment.expand(&from.instruction.base, lexing)?.text != "scratch" {
        return wrong(from.instruction.base.span, "it does not start from scratch");
    }
    let mut sources = 0;
    for statement in &stage.instructions {
        let span = statement.source.span;
        match &statement.instruction {
            Instruction::Arg(arg) => {
                for declaration in &arg.declarations {
                    let name = &declaration.key.text;
                    let value = match (build_args.get(name), &declaration.value) {
                        (Some(given), _) => given.clone(),
                        (None, Some(default)) => environment.expand(default, lexing)?.text,
                        (None, None) => continue,
                    };
                    environment.set(name, &value);
                }
            }
            Instruction::Add(add) if sources == 0 && is_remote(add, &environment, lexing)? => {
                sources += 1;
            }
            Instruction::Add(_) if sources == 0 => {
                return wrong(span, "its ADD is not of one URL or git repository");
            }
            Instruction::Add(_) => return wrong(span, "it has more than one ADD"),
            _ => return wrong(span, "it has other instructions than ARG and ADD"),
        }
    }
    if sources == 0 {
        return wrong(from.source.span, "it has no ADD");
    }
    Ok(())
}

fn is_remote(add: &Add, environment: &Environment, lexing: Lexing) -> Result<bool, Error> {
    let ([source], []) = (add.sources.as_slice(), add.contents.as_slice()) else {
        return Ok(false);
    };
    let text = environment.expand(source, lexing)?.text;
    let read = read_source(&text, add.keep_git_dir.is_some());
    let read = read.map_err(|problem| at(source.span, problem))?;
    Ok(read != Source::Local)
}

fn at(span: Span, problem: PlanProblem) -> Error {
    Error::new(span, Problem::Plan(problem))
}
