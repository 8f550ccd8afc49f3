//! Instructions that change the config and the environment, and add no vertex.

use std::time::Duration;

use serde_json::Value;

use crate::dockerfile::Error;
use crate::dockerfile::PlanProblem;
use crate::dockerfile::Span;
use crate::dockerfile::Word;
use crate::dockerfile::check::Finding;
use crate::dockerfile::check::sounds_secret;
use crate::dockerfile::instruction::Cmd;
use crate::dockerfile::instruction::Command;
use crate::dockerfile::instruction::Entrypoint;
use crate::dockerfile::instruction::Env;
use crate::dockerfile::instruction::Healthcheck;
use crate::dockerfile::instruction::Label;
use crate::dockerfile::instruction::Maintainer;
use crate::dockerfile::instruction::Onbuild;
use crate::dockerfile::instruction::Pair;
use crate::dockerfile::instruction::Probe;
use crate::dockerfile::instruction::Shell;
use crate::dockerfile::instruction::Stopsignal;
use crate::dockerfile::instruction::User;
use crate::dockerfile::instruction::Volume;
use crate::dockerfile::lower::cursor::Cursor;
use crate::dockerfile::lower::cursor::State;
use crate::dockerfile::lower::golang;
use crate::dockerfile::lower::signal;
use crate::oci;

/// `ENV`. All values see the environment from before the instruction.
pub(super) fn env(cursor: &mut Cursor<'_, '_, '_>, env: &Env) -> Result<(), Error> {
    let pairs = expand_pairs(cursor, &env.pairs)?;
    let mut line = "ENV".to_owned();
    for ((name, value), pair) in pairs.into_iter().zip(&env.pairs) {
        check_form(cursor, pair);
        if sounds_secret(&name) {
            let (instruction, name) = ("ENV", name.as_str());
            cursor.find(Finding::SecretsUsedInArgOrEnv { instruction, name });
        }
        line.push_str(&format!(" {name}={value}"));
        cursor.state.environment.set(&name, &value);
        cursor.state.set_image_env(&name, &value);
    }
    cursor.record(line);
    Ok(())
}

/// `LABEL`.
pub(super) fn label(cursor: &mut Cursor<'_, '_, '_>, label: &Label) -> Result<(), Error> {
    let pairs = expand_pairs(cursor, &label.pairs)?;
    let mut line = "LABEL".to_owned();
    for ((name, value), pair) in pairs.into_iter().zip(&label.pairs) {
        check_form(cursor, pair);
        line.push_str(&format!(" {name}={value}"));
        cursor.state.config.config.labels.insert(name, value);
    }
    cursor.record(line);
    Ok(())
}

fn check_form(cursor: &mut Cursor<'_, '_, '_>, pair: &Pair) {
    if pair.legacy {
        let keyword = &cursor.step.statement.source.keyword.text;
        cursor.find(Finding::LegacyKeyValueFormat { keyword });
    }
}

fn expand_pairs(
    cursor: &mut Cursor<'_, '_, '_>,
    pairs: &[Pair],
) -> Result<Vec<(String, String)>, Error> {
    let pairs = pairs.iter();
    pairs
        .map(|pair| Ok((cursor.expand(&pair.key)?, cursor.expand(&pair.value)?)))
        .collect()
}

/// `MAINTAINER`.
pub(super) fn maintainer(cursor: &mut Cursor<'_, '_, '_>, maintainer: &Maintainer) {
    let author = maintainer.author.text.clone();
    cursor.record(format!("MAINTAINER {author}"));
    cursor.state.config.author = Some(author);
}

/// `CMD`.
pub(super) fn cmd(cursor: &mut Cursor<'_, '_, '_>, cmd: &Cmd) {
    let span = cursor.step.span();
    let before = cursor.state.last.cmd.replace(span);
    check_once(cursor, before);
    let args = arguments(cursor, &cmd.command);
    cursor.record(format!("CMD {}", golang::quoted_list(&args)));
    cursor.state.config.config.cmd = args;
    cursor.state.config.config.args_escaped = true;
}

/// `ENTRYPOINT`. An inherited `CMD` was meant for another entry point.
pub(super) fn entrypoint(cursor: &mut Cursor<'_, '_, '_>, entrypoint: &Entrypoint) {
    let span = cursor.step.span();
    let before = cursor.state.last.entrypoint.replace(span);
    check_once(cursor, before);
    let args = arguments(cursor, &entrypoint.command);
    cursor.record(format!("ENTRYPOINT {}", golang::quoted_list(&args)));
    cursor.state.config.config.entrypoint = args;
    if cursor.state.last.cmd.is_none() {
        cursor.state.config.config.cmd.clear();
    }
}

/// `HEALTHCHECK`.
pub(super) fn healthcheck(cursor: &mut Cursor<'_, '_, '_>, healthcheck: &Healthcheck) {
    let span = cursor.step.span();
    let before = cursor.state.last.healthcheck.replace(span);
    check_once(cursor, before);
    let (test, probe) = match healthcheck {
        Healthcheck::None => (vec!["NONE".to_owned()], None),
        Healthcheck::Probe(probe) => (test(&probe.command), Some(probe)),
    };
    let time = |read: fn(&Probe) -> Duration| probe.map(read).unwrap_or_default();
    let times = [
        time(|probe| probe.interval),
        time(|probe| probe.timeout),
        time(|probe| probe.start_period),
        time(|probe| probe.start_interval),
    ];
    let retries = probe.map_or(0, |probe| i64::from(probe.retries));
    // BuildKit prints the whole struct by `%q`, the number as the character of that number.
    let [interval, timeout, start_period, start_interval] =
        times.map(|time| golang::quote(&golang::duration(time)));
    cursor.record(format!(
        "HEALTHCHECK &{{{} {interval} {timeout} {start_period} {start_interval} {}}}",
        golang::quoted_list(&test),
        golang::quoted_character(retries),
    ));
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    let [interval, timeout, start_period, start_interval] = times.map(nanos);
    cursor.state.config.config.healthcheck = Some(oci::Healthcheck {
        test,
        interval,
        timeout,
        start_period,
        start_interval,
        retries,
    });
}

fn test(command: &Command) -> Vec<String> {
    let (kind, words) = match command {
        Command::Shell(text) => ("CMD-SHELL", text.iter().map(text_of).collect::<Vec<_>>()),
        Command::Exec(words) => ("CMD", words.iter().map(text_of).collect()),
    };
    let mut test = vec![kind.to_owned()];
    test.extend(words);
    test
}

/// `ONBUILD`.
pub(super) fn onbuild(cursor: &mut Cursor<'_, '_, '_>, onbuild: &Onbuild) {
    let triggers = &mut cursor.state.config.config.on_build;
    triggers.push(onbuild.expression.text.clone());
}

/// `SHELL`.
pub(super) fn shell(cursor: &mut Cursor<'_, '_, '_>, shell: &Shell) {
    let words: Vec<String> = shell.words.iter().map(text_of).collect();
    cursor.record(format!("SHELL {}", golang::list(&words)));
    cursor.state.config.config.shell = words;
}

/// `STOPSIGNAL`.
pub(super) fn stopsignal(
    cursor: &mut Cursor<'_, '_, '_>,
    stopsignal: &Stopsignal,
) -> Result<(), Error> {
    let text = cursor.expand(&stopsignal.signal)?;
    if !signal::is_signal(&text) {
        let problem = PlanProblem::Signal { text };
        return Err(cursor.error_at(stopsignal.signal.span, problem));
    }
    cursor.record(format!("STOPSIGNAL {text}"));
    cursor.state.config.config.stop_signal = text;
    Ok(())
}

/// `USER`.
pub(super) fn user(cursor: &mut Cursor<'_, '_, '_>, user: &User) -> Result<(), Error> {
    let user = cursor.expand(&user.user)?;
    cursor.record(format!("USER {user}"));
    cursor.state.config.config.user = user;
    Ok(())
}

/// `VOLUME`.
pub(super) fn volume(cursor: &mut Cursor<'_, '_, '_>, volume: &Volume) -> Result<(), Error> {
    let words = volume.paths.iter();
    let paths = words
        .map(|word| cursor.expand(word))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(blank) = paths.iter().position(String::is_empty) {
        let span = volume.paths[blank].span;
        return Err(cursor.error_at(span, PlanProblem::BlankVolume));
    }
    cursor.record(format!("VOLUME {}", golang::list(&paths)));
    let volumes = &mut cursor.state.config.config.volumes;
    let nothing = || Value::Object(serde_json::Map::new());
    volumes.extend(paths.into_iter().map(|path| (path, nothing())));
    Ok(())
}

/// Notes an instruction before this one that this one makes void.
fn check_once(cursor: &mut Cursor<'_, '_, '_>, before: Option<Span>) {
    if let Some(before) = before {
        let keyword = &cursor.step.statement.source.keyword.text;
        let finding = Finding::MultipleInstructionsDisallowed { keyword };
        cursor.find_at(before, finding);
    }
}

/// Gives a command's program and arguments; a command in shell form is the shell's.
fn arguments(cursor: &mut Cursor<'_, '_, '_>, command: &Command) -> Vec<String> {
    match command {
        Command::Exec(words) => words.iter().map(text_of).collect(),
        Command::Shell(text) => {
            if cursor.state.config.config.shell.is_empty() {
                let keyword = &cursor.step.statement.source.keyword.text;
                cursor.find(Finding::JSONArgsRecommended { keyword });
            }
            let text = text.as_ref().map(text_of);
            with_shell(cursor.state, text.unwrap_or_default())
        }
    }
}

/// Gives the program and the arguments that run `text` in the shell in force.
pub(super) fn with_shell(state: &State, text: String) -> Vec<String> {
    let mut args = match state.config.config.shell.as_slice() {
        [] => vec!["/bin/sh".to_owned(), "-c".to_owned()],
        shell => shell.to_vec(),
    };
    args.push(text);
    args
}

pub(super) fn text_of(word: &Word) -> String {
    word.text.clone()
}
