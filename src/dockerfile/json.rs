//! A parsed Dockerfile as JSON, for other programs: what was written, nothing expanded.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::dockerfile::Dockerfile;
use crate::dockerfile::ExpandError;
use crate::dockerfile::Instruction;
use crate::dockerfile::Lexing;
use crate::dockerfile::Source;
use crate::dockerfile::Span;
use crate::dockerfile::Stage;
use crate::dockerfile::Statement;
use crate::dockerfile::Word;
use crate::dockerfile::expand;
use crate::dockerfile::instruction::Add;
use crate::dockerfile::instruction::Arg;
use crate::dockerfile::instruction::Command;
use crate::dockerfile::instruction::Content;
use crate::dockerfile::instruction::Copy;
use crate::dockerfile::instruction::Healthcheck;
use crate::dockerfile::instruction::MountOptions;
use crate::dockerfile::instruction::Pair;
use crate::dockerfile::instruction::Run;
use crate::dockerfile::instruction::Sharing;

/// The version of the JSON's shape.
const SCHEMA: u32 = 1;

/// A Dockerfile as JSON.
#[must_use]
pub fn to_json(dockerfile: &Dockerfile) -> Value {
    let directives = dockerfile.directives.iter().map(|directive| {
        json!({
            "name": directive.name,
            "value": directive.value,
            "line": directive.span.first_line,
        })
    });
    let meta_args = dockerfile.meta_args.iter().map(|statement| {
        json!({
            "lines": lines(statement.source.span),
            "args": declarations(&statement.instruction),
        })
    });
    let warnings = dockerfile
        .warnings
        .iter()
        .map(|warning| json!({ "short": warning.message, "line": warning.span.last_line }));
    json!({
        "schema": SCHEMA,
        "ok": true,
        "error": null,
        "escape": dockerfile.escape.char(),
        "directives": directives.collect::<Vec<_>>(),
        "meta_args": meta_args.collect::<Vec<_>>(),
        "stages": dockerfile.stages.iter().map(stage).collect::<Vec<_>>(),
        "warnings": warnings.collect::<Vec<_>>(),
    })
}

fn stage(stage: &Stage) -> Value {
    let from = &stage.from.instruction;
    json!({
        "name": text(from.name.as_ref()),
        "base": from.base.text,
        "platform": text(from.platform.as_ref()),
        "lines": lines(stage.from.source.span),
        "flags": flags(&stage.from.source),
        "commands": stage.instructions.iter().map(statement).collect::<Vec<_>>(),
    })
}

fn statement(statement: &Statement) -> Value {
    let mut object = Map::new();
    object.insert(
        "cmd".to_owned(),
        statement.source.keyword.text.to_lowercase().into(),
    );
    object.insert("lines".to_owned(), lines(statement.source.span));
    object.insert("flags".to_owned(), flags(&statement.source));
    if let Value::Object(rest) = instruction(&statement.instruction) {
        object.extend(rest);
    }
    Value::Object(object)
}

fn lines(span: Span) -> Value {
    json!([span.first_line, span.last_line])
}

fn flags(source: &Source) -> Value {
    texts(&source.flags)
}

fn text(word: Option<&Word>) -> &str {
    word.map_or("", Word::as_str)
}

fn texts(words: &[Word]) -> Value {
    words.iter().map(Word::as_str).collect()
}

fn instruction(instruction: &Instruction) -> Value {
    match instruction {
        Instruction::Add(instruction) => add(instruction),
        Instruction::Arg(arg) => json!({ "args": declarations(arg) }),
        Instruction::Cmd(cmd) => command(&cmd.command),
        Instruction::Copy(instruction) => copy(instruction),
        Instruction::Entrypoint(entrypoint) => command(&entrypoint.command),
        Instruction::Env(env) => pairs(&env.pairs),
        Instruction::Expose(expose) => json!({ "ports": texts(&expose.ports) }),
        Instruction::Healthcheck(instruction) => healthcheck(instruction),
        Instruction::Label(label) => pairs(&label.pairs),
        Instruction::Maintainer(maintainer) => value(&maintainer.author),
        Instruction::Onbuild(onbuild) => json!({ "expression": onbuild.expression.text }),
        Instruction::Run(instruction) => run(instruction),
        Instruction::Shell(shell) => json!({ "cmdline": texts(&shell.words) }),
        Instruction::Stopsignal(stopsignal) => value(&stopsignal.signal),
        Instruction::User(user) => value(&user.user),
        Instruction::Volume(volume) => {
            json!({ "json": volume.json, "volumes": texts(&volume.paths) })
        }
        Instruction::Workdir(workdir) => value(&workdir.path),
    }
}

fn value(word: &Word) -> Value {
    json!({ "value": word.text })
}

fn pairs(pairs: &[Pair]) -> Value {
    let pair = |pair: &Pair| json!({ "key": pair.key.text, "value": pair.value.text, "legacy": pair.legacy });
    json!({ "pairs": pairs.iter().map(pair).collect::<Vec<_>>() })
}

fn declarations(arg: &Arg) -> Value {
    let declarations = arg.declarations.iter().map(|declaration| {
        let value = declaration.value.as_ref().map(Word::as_str);
        json!({ "key": declaration.key.text, "value": value })
    });
    declarations.collect()
}

fn command(command: &Command) -> Value {
    match command {
        Command::Shell(text) => {
            let words: Vec<&str> = text.iter().map(Word::as_str).collect();
            json!({ "json": false, "cmdline": words })
        }
        Command::Exec(words) => json!({ "json": true, "cmdline": texts(words) }),
    }
}

fn contents(contents: &[Content]) -> Value {
    let content = |content: &Content| json!({ "path": content.name.text, "data": content.text(), "expand": content.expand });
    contents.iter().map(content).collect()
}

fn copy(copy: &Copy) -> Value {
    json!({
        "json": copy.json,
        "sources": texts(&copy.sources),
        "dest": copy.dest.text,
        "contents": contents(&copy.contents),
        "from": text(copy.from.as_ref()),
        "chown": text(copy.chown.as_ref()),
        "chmod": text(copy.chmod.as_ref()),
        "link": copy.link,
        "parents": copy.parents,
        "exclude": texts(&copy.exclude),
    })
}

fn add(add: &Add) -> Value {
    json!({
        "json": add.json,
        "sources": texts(&add.sources),
        "dest": add.dest.text,
        "contents": contents(&add.contents),
        "chown": text(add.chown.as_ref()),
        "chmod": text(add.chmod.as_ref()),
        "link": add.link,
        "exclude": texts(&add.exclude),
        "checksum": text(add.checksum.as_ref()),
        "keep_git_dir": add.keep_git_dir,
        "unpack": add.unpack,
    })
}

fn healthcheck(healthcheck: &Healthcheck) -> Value {
    let Healthcheck::Probe(probe) = healthcheck else {
        return json!({
            "json": false,
            "test": ["NONE"],
            "interval_ns": 0,
            "timeout_ns": 0,
            "start_period_ns": 0,
            "start_interval_ns": 0,
            "retries": 0,
        });
    };
    let (json, kind, words) = match &probe.command {
        Command::Shell(text) => (false, "CMD-SHELL", text.as_slice()),
        Command::Exec(words) => (true, "CMD", words.as_slice()),
    };
    let test: Vec<&str> = std::iter::once(kind)
        .chain(words.iter().map(Word::as_str))
        .collect();
    let nanos = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).ok();
    json!({
        "json": json,
        "test": test,
        "interval_ns": nanos(probe.interval),
        "timeout_ns": nanos(probe.timeout),
        "start_period_ns": nanos(probe.start_period),
        "start_interval_ns": nanos(probe.start_interval),
        "retries": probe.retries,
    })
}

fn run(run: &Run) -> Value {
    let files = run.heredocs.iter().map(|heredoc| {
        json!({ "name": heredoc.name.text, "data": heredoc.data, "chomp": heredoc.chomp })
    });
    let devices = run
        .devices
        .iter()
        .map(|device| json!({ "name": device.name, "required": device.required }));
    let mut object = command(&run.command);
    object["files"] = files.collect();
    object["network"] = run.network.name().into();
    object["security"] = run.security.name().into();
    object["devices"] = devices.collect();
    object["mounts"] = mounts(&run.mounts);
    object
}

/// The mounts, unless variables decide what they are.
fn mounts(mounts: &[Word]) -> Value {
    if mounts.iter().any(|mount| mount.text.contains('$')) {
        return Value::Null;
    }
    let lexing = Lexing::default();
    let plain = |text: &str| -> Result<String, ExpandError> {
        expand(text, lexing, &|_| None).map(|expansion| expansion.text)
    };
    let parsed = mounts
        .iter()
        .map(|mount| MountOptions::parse(&mount.text, &plain));
    match parsed.collect::<Result<Vec<_>, _>>() {
        Ok(mounts) => mounts.iter().map(mount).collect(),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

fn mount(mount: &MountOptions) -> Value {
    json!({
        "type": mount.kind.name(),
        "from": mount.from,
        "source": mount.source,
        "target": mount.target,
        "readonly": mount.readonly,
        "size": mount.size_bytes,
        "id": mount.id,
        "sharing": mount.sharing.map_or("", Sharing::name),
        "required": mount.required,
        "env": mount.env,
        "mode": mount.mode,
        "uid": mount.uid,
        "gid": mount.gid,
    })
}
