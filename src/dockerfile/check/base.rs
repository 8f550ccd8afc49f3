//! Rules about what a `FROM` names.

use std::borrow::Cow;

use crate::dockerfile::Dockerfile;
use crate::dockerfile::Error;
use crate::dockerfile::Expansion;
use crate::dockerfile::Lexing;
use crate::dockerfile::Options;
use crate::dockerfile::Word;
use crate::dockerfile::check::Finding;
use crate::dockerfile::check::Linter;
use crate::dockerfile::globals;
use crate::dockerfile::globals::Globals;
use crate::dockerfile::instruction::From;
use crate::dockerfile::instruction::Source;
use crate::oci::Platform;
use crate::oci::Reference;

/// Checks that every `FROM` names something without any `--build-arg`.
pub(super) fn default_args(dockerfile: &Dockerfile, options: &Options, linter: &mut Linter) {
    // Where a default cannot be expanded, the build says so.
    let Ok(environment) = globals::defaults(dockerfile, options) else {
        return;
    };
    let lexing = Lexing::words(dockerfile.escape);
    for stage in &dockerfile.stages {
        let base = &stage.from.instruction.base;
        let Ok(expansion) = environment.expand(base, lexing) else {
            return;
        };
        if expansion.text.parse::<Reference>().is_err() {
            let finding = Finding::InvalidDefaultArgInFrom {
                base: base.as_str(),
            };
            linter.find_at(stage.from.source.span, &[], finding);
        }
    }
}

/// Expands a word of a `FROM`, and notes its variables that no `ARG` before the first one declares.
pub(in crate::dockerfile) fn expand(
    word: &Word,
    lexing: Lexing,
    source: &Source,
    (globals, linter): (&Globals, &mut Linter),
) -> Result<Expansion, Error> {
    let expansion = globals.environment.expand(word, lexing);
    let unset = match &expansion {
        Ok(expansion) => Cow::Borrowed(&expansion.unmatched),
        Err(_) => Cow::Owned(globals.environment.unset_in(&word.text, lexing)),
    };
    for name in unset
        .iter()
        .filter(|name| !globals.args.contains_key(*name))
    {
        let known = globals.args.keys().map(String::as_str);
        let nearest = linter.nearest(name, known.chain(globals.environment.names()));
        linter.find(source, Finding::UndefinedArgInFrom { name, nearest });
    }
    expansion
}

/// Notes a `--platform` that says what holds anyway.
pub(in crate::dockerfile) fn redundant_platform(
    written: &str,
    expansion: &Expansion,
    source: &Source,
    (globals, linter): (&Globals, &mut Linter),
) {
    const TARGET: &str = "TARGETPLATFORM";
    let only = expansion.matched.len() == 1 && expansion.unmatched.is_empty();
    if only
        && expansion.matched.contains(TARGET)
        && globals.environment.get(TARGET) == Some(expansion.text.as_str())
    {
        let platform = written;
        linter.find(source, Finding::RedundantTargetPlatform { platform });
    }
}

/// Notes a `--platform` without variables, unless the stage's name says that it is meant so.
pub(in crate::dockerfile) fn constant_platform(
    from: &From,
    expansion: &Expansion,
    source: &Source,
    linter: &mut Linter,
) {
    if !expansion.matched.is_empty() || !expansion.unmatched.is_empty() {
        return;
    }
    // What is no platform is an error elsewhere.
    let Ok(platform) = expansion.text.parse::<Platform>() else {
        return;
    };
    let name = from.name.as_ref().map_or("", |name| name.as_str());
    if !name.contains(&platform.os) && !name.contains(&platform.architecture) {
        let platform = expansion.text.as_str();
        linter.find(
            source,
            Finding::FromPlatformFlagConstDisallowed { platform },
        );
    }
}
