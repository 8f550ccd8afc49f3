//! Rules about how a Dockerfile is written: casing, names, comments, blank lines.

use std::collections::HashSet;

use crate::dockerfile::Dockerfile;
use crate::dockerfile::Instruction;
use crate::dockerfile::Stage;
use crate::dockerfile::Statement;
use crate::dockerfile::check::Finding;
use crate::dockerfile::check::Linter;
use crate::dockerfile::instruction::Arg;
use crate::dockerfile::instruction::From;
use crate::dockerfile::instruction::Source;

/// Checks each statement on its own, in order.
pub(super) fn statements(dockerfile: &Dockerfile, linter: &mut Linter) {
    for warning in &dockerfile.warnings {
        linter.find_at(warning.span, &[], Finding::NoEmptyContinuation);
    }
    for arg in &dockerfile.meta_args {
        arg_description(&arg.source, &arg.instruction, linter);
    }
    for stage in &dockerfile.stages {
        from(&stage.from, linter);
        for statement in &stage.instructions {
            match &statement.instruction {
                Instruction::Maintainer(_) => {
                    linter.find(&statement.source, Finding::MaintainerDeprecated);
                }
                Instruction::Arg(arg) => arg_description(&statement.source, arg, linter),
                _ => {}
            }
        }
    }
}

/// Checks a line whose arguments have not been understood.
pub(super) fn rejected(source: &Source, arguments: &str, linter: &mut Linter) {
    let keyword = source.keyword.as_str();
    if keyword.eq_ignore_ascii_case("MAINTAINER") {
        linter.find(source, Finding::MaintainerDeprecated);
    } else if keyword.eq_ignore_ascii_case("FROM") {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        from_casing(source, &words, linter);
    }
}

fn from(statement: &Statement<From>, linter: &mut Linter) {
    let Statement {
        source,
        instruction,
    } = statement;
    let words: Vec<&str> = source.text.split_whitespace().collect();
    let Some(name) = &instruction.name else {
        return;
    };
    // Flags, which stand before, may have blanks in them.
    from_casing(source, &words[words.len() - 3..], linter);
    description("FROM", source, &[name.as_str()], linter);
}

fn from_casing(source: &Source, words: &[&str], linter: &mut Linter) {
    if let [_, _, name] = words
        && *name != name.to_lowercase()
    {
        linter.find(source, Finding::StageNameCasing { name });
    }
    let [_, separator, _, ..] = words else {
        return;
    };
    let from = source.keyword.as_str();
    let matches = match casing(from) {
        Some(Casing::Lower) => *separator == separator.to_lowercase(),
        Some(Casing::Upper) => *separator == separator.to_uppercase(),
        None => true,
    };
    if !matches {
        linter.find(source, Finding::FromAsCasing { from, separator });
    }
}

fn arg_description(source: &Source, arg: &Arg, linter: &mut Linter) {
    let names = arg.declarations.iter();
    let names: Vec<&str> = names.map(|found| found.key.as_str()).collect();
    description("ARG", source, &names, linter);
}

/// A comment right above is taken for a description, which begins with the name.
fn description(instruction: &str, source: &Source, names: &[&str], linter: &mut Linter) {
    let Some(comment) = source.comments.last() else {
        return;
    };
    let first = comment.split(' ').next().unwrap_or_default();
    if names.contains(&first) {
        return;
    }
    let name = match names {
        [only] => only,
        _ => "<arg_key>",
    };
    let finding = Finding::InvalidDefinitionDescription { instruction, name };
    linter.find(source, finding);
}

/// Checks that each stage has a name of its own.
pub(super) fn stage_names(stages: &[Stage], linter: &mut Linter) {
    let mut names = HashSet::new();
    for stage in stages {
        let Some(name) = stage.from.instruction.name.as_ref() else {
            continue;
        };
        let (name, span) = (name.as_str(), stage.from.source.span);
        if matches!(name, "scratch" | "context") {
            linter.find_at(span, &[], Finding::ReservedStageName { name });
        }
        if !names.insert(name) {
            linter.find_at(span, &[], Finding::DuplicateStageName { name });
        }
    }
}

/// Checks that the keywords of all stages are in the casing that most of them have.
pub(super) fn keywords(stages: &[Stage], linter: &mut Linter) {
    let mut sources: Vec<&Source> = Vec::new();
    for stage in stages {
        let instructions = stage.instructions.iter();
        sources.push(&stage.from.source);
        sources.extend(instructions.map(|statement| &statement.source));
    }
    let count = |casing: Casing| {
        let keywords = sources.iter().map(|source| source.keyword.as_str());
        keywords
            .filter(|word| self::casing(word) == Some(casing))
            .count()
    };
    let (wanted, name) = if count(Casing::Lower) > count(Casing::Upper) {
        (Casing::Lower, "lowercase")
    } else {
        (Casing::Upper, "uppercase")
    };
    for source in &sources {
        let keyword = source.keyword.as_str();
        if casing(keyword) != Some(wanted) {
            let casing = name;
            let finding = Finding::ConsistentInstructionCasing { keyword, casing };
            linter.find_at(source.span, &[], finding);
        }
    }
}

/// How a keyword is written, unless mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Casing {
    Lower,
    Upper,
}

fn casing(word: &str) -> Option<Casing> {
    if word == word.to_lowercase() {
        Some(Casing::Lower)
    } else {
        (word == word.to_uppercase()).then_some(Casing::Upper)
    }
}
