//! `RUN`.

use crate::dockerfile::Error;
use crate::dockerfile::Lexing;
use crate::dockerfile::PlanProblem;
use crate::dockerfile::instruction;
use crate::dockerfile::instruction::Command;
use crate::dockerfile::instruction::Heredoc;
use crate::dockerfile::instruction::Run;
use crate::dockerfile::instruction::heredoc;
use crate::dockerfile::lower::cursor::Cursor;
use crate::dockerfile::lower::cursor::ENTRY_BYTES;
use crate::dockerfile::lower::metadata::text_of;
use crate::dockerfile::lower::metadata::with_shell;
use crate::dockerfile::lower::mount;
use crate::dockerfile::lower::mount::Asked;
use crate::dockerfile::lower::mount::Mounts;
use crate::graph::ExecOp;
use crate::graph::Mount;
use crate::graph::MountKind;
use crate::graph::Network;
use crate::graph::Op;
use crate::graph::Security;

/// The build argument that names the sandbox's host, and the name without it.
const HOSTNAME_ARG: &str = "BUILDKIT_SANDBOX_HOSTNAME";
const HOSTNAME: &str = "buildkitsandbox";

/// Where programs look for an ssh agent.
const SSH_SOCKET: &str = "SSH_AUTH_SOCK";

/// What commands find in their environment without an `ARG`.
pub(super) const PROXIES: [&str; 5] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

/// What a command runs: program and arguments, and the script it is, if it is one.
struct Program {
    args: Vec<String>,
    script: Option<Mount>,
    /// What progress shows of a here-document.
    summary: String,
}

/// `RUN`.
pub(super) fn run(cursor: &mut Cursor<'_, '_, '_>, run: &Run) -> Result<(), Error> {
    let asked = mount::read(cursor, run)?;
    let program = program(cursor, run);
    let title = title(cursor, &asked, &program.summary);
    let mut mounts = Mounts::default();
    mounts.list.extend(program.script);
    for asked in asked {
        mounts.add(cursor, asked)?;
    }
    check_devices(cursor, run)?;
    let env = environment(cursor, &mounts);
    let repeated = env
        .iter()
        .map(|(name, value)| name.len() + value.len() + ENTRY_BYTES);
    let span = cursor.step.span();
    cursor.shared.charge(repeated.sum(), span)?;
    let options = cursor.shared.options;
    let hostname = cursor.shared.globals.build_args.get(HOSTNAME_ARG);
    let op = ExecOp {
        env,
        hidden_env: proxies(cursor),
        cwd: cursor.state.cwd.clone(),
        user: cursor.state.config.config.user.clone(),
        hostname: hostname.cloned().unwrap_or_else(|| HOSTNAME.to_owned()),
        network: network(cursor, run),
        security: security(cursor, run),
        mounts: mounts.list,
        extra_hosts: options.extra_hosts.clone(),
        shm_size_bytes: options.shm_size_bytes,
        ulimits: options.ulimits.clone(),
        args: program.args,
    };
    let line = history(cursor, &op.args);
    cursor.shared.charge(line.len() + op.cwd.len(), span)?;
    cursor.change(Op::Exec(op), title, &mounts.inputs);
    cursor.record_layer(line);
    Ok(())
}

/// Refuses devices, even optional ones, as the stable releases of BuildKit's language do.
fn check_devices(cursor: &Cursor<'_, '_, '_>, run: &Run) -> Result<(), Error> {
    let Some(device) = run.devices.first() else {
        return Ok(());
    };
    let name = device.name.clone();
    Err(cursor.error(PlanProblem::Device { name }))
}

fn network(cursor: &mut Cursor<'_, '_, '_>, run: &Run) -> Network {
    let options = cursor.shared.options;
    match run.network {
        instruction::Network::Default => options.network,
        instruction::Network::None => Network::None,
        instruction::Network::Host => {
            if !options.is_host_network_allowed {
                cursor.refuse(cursor.step.span(), PlanProblem::HostNetwork);
            }
            Network::Host
        }
    }
}

fn security(cursor: &mut Cursor<'_, '_, '_>, run: &Run) -> Security {
    match run.security {
        instruction::Security::Sandbox => Security::Sandbox,
        instruction::Security::Insecure => {
            if !cursor.shared.options.is_insecure_allowed {
                cursor.refuse(cursor.step.span(), PlanProblem::Insecure);
            }
            Security::Insecure
        }
    }
}

fn environment(cursor: &Cursor<'_, '_, '_>, mounts: &Mounts) -> Vec<(String, String)> {
    let mut environment = cursor.state.environment.clone();
    if let Some(socket) = mounts.ssh_socket()
        && environment.get(SSH_SOCKET).is_none()
    {
        environment.set(SSH_SOCKET, socket);
    }
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    environment.pairs().map(owned).collect()
}

/// Finds out what to run. Here-documents are for the shell to read, but for two forms: text alone
/// is the shell's whole input, so that every shell can run it; and text that begins with `#!` is a
/// program of its own, which the shell starts.
fn program(cursor: &Cursor<'_, '_, '_>, run: &Run) -> Program {
    let shell = |text| with_shell(cursor.state, text);
    let plain = |args| Program {
        args,
        script: None,
        summary: String::new(),
    };
    let text = match &run.command {
        Command::Exec(words) => return plain(words.iter().map(text_of).collect()),
        Command::Shell(text) => text.as_ref().map(text_of).unwrap_or_default(),
    };
    let Some(first) = run.heredocs.first() else {
        return plain(shell(text));
    };
    if !matches!(heredoc::mark(&text), Ok(Some(_))) {
        return plain(shell(rebuild(text, &run.heredocs)));
    }
    let data = if first.chomp {
        heredoc::chomp(&first.data)
    } else {
        first.data.clone()
    };
    let summary = format!(" ({})", summary(&first.data));
    if !data.starts_with("#!") {
        return Program {
            summary,
            ..plain(shell(data))
        };
    }
    let target = format!("/dev/pipes/{}", first.name.text);
    Program {
        args: shell(target.clone()),
        script: Some(Mount {
            target,
            kind: MountKind::Script { data },
        }),
        summary,
    }
}

/// Puts the here-documents back behind the line that names them.
fn rebuild(mut text: String, heredocs: &[Heredoc]) -> String {
    for heredoc in heredocs {
        text.push('\n');
        text.push_str(&heredoc.data);
        text.push_str(&heredoc.name.text);
    }
    text
}

fn summary(data: &str) -> String {
    let mut lines = data.trim().lines();
    let first = lines.next().unwrap_or_default();
    match lines.next() {
        Some(_) => format!("{first}..."),
        None => first.to_owned(),
    }
}

/// Names the command for progress. Secrets in the environment are shown as what they are.
fn title(cursor: &mut Cursor<'_, '_, '_>, mounts: &[Asked], summary: &str) -> String {
    let text = format!("{}{summary}", cursor.step.statement.source.text);
    let lexing = Lexing {
        raw_quotes: true,
        keep_unset: true,
        ..Lexing::words(cursor.shared.escape)
    };
    let plain = cursor.state.environment.clone();
    let options = mounts.iter().map(|mount| &mount.options);
    let secrets = options.filter(|mount| mount.kind == instruction::MountKind::Secret);
    for name in secrets.filter_map(|mount| mount.env.as_ref()) {
        cursor.state.environment.set(name, "****");
    }
    let line = cursor.line(&text, lexing);
    cursor.state.environment = plain;
    cursor.title(&line)
}

/// Gives the history's form of a command: the build arguments in force, then the command.
fn history(cursor: &Cursor<'_, '_, '_>, args: &[String]) -> String {
    let state = &cursor.state;
    let pairs = state.declared.pairs();
    let mut line = "RUN ".to_owned();
    if pairs.len() > 0 {
        line.push_str(&format!("|{} ", pairs.len()));
    }
    for (name, value) in pairs {
        let value = state.environment.get(name).unwrap_or(value);
        line.push_str(&format!("{name}={value} "));
    }
    format!("{line}{} # buildkit", args.join(" "))
}

/// Gives the proxy settings among the build arguments, in both spellings; those that the
/// environment has already are left to it.
fn proxies(cursor: &Cursor<'_, '_, '_>) -> Vec<(String, String)> {
    let given = &cursor.shared.globals.build_args;
    let environment = &cursor.state.environment;
    let mut hidden = Vec::new();
    for upper in PROXIES {
        let mut values = given
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(upper));
        let Some((_, value)) = values.next_back().filter(|(_, value)| !value.is_empty()) else {
            continue;
        };
        for name in [upper.to_owned(), upper.to_lowercase()] {
            if environment.get(&name).is_none() {
                hidden.push((name, value.clone()));
            }
        }
    }
    hidden
}
