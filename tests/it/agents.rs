//! What builds do with ssh agents: `RUN --mount=type=ssh`, and the agents that rbuild starts itself.

use std::collections::VecDeque;
use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;

use crate::support::Feature;
use crate::support::RUNS_BUSYBOX;
use crate::support::home::Home;
use crate::support::home::fail_with;
use crate::support::home::succeed;
use crate::support::processes::command_lines;
use crate::support::require;
use crate::support::tree::shell;
use crate::support::wait::wait_until;

/// A process that ends with the test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// An agent that is the user's own.
struct UsersAgent {
    socket: PathBuf,
    _process: Ending,
}

impl UsersAgent {
    fn start(home: &Home) -> UsersAgent {
        let socket = home.short_path("agent");
        let mut command = Command::new("ssh-agent");
        let command = command.arg("-D").arg("-a").arg(&socket);
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let agent = UsersAgent {
            socket,
            _process: Ending(child),
        };
        wait_until("an agent listens", || {
            UnixStream::connect(&agent.socket).is_ok()
        });
        agent
    }

    fn add(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("ssh-add");
        let command = command.args(arguments).env("SSH_AUTH_SOCK", &self.socket);
        succeed(command.stdin(Stdio::null())).stdout
    }
}

fn able() -> bool {
    let programs = ["busybox", "ssh-agent", "ssh-add", "ssh-keygen", "ldd"];
    require(&[Feature::Root, Feature::Namespaces]) && require(&programs.map(Feature::Program))
}

/// A build context whose `root` has a shell and OpenSSH's programs, two keys, and a passphrase for
/// who asks for one.
fn context(home: &Home, dockerfile: &str) {
    let context = home.context(dockerfile);
    shell(
        &context,
        "mkdir -p root/bin root/etc
         for program in ssh-add ssh-keygen; do
             path=$(command -v $program)
             cp -L --parents $path $(ldd $path | grep -o '/[^ ]*') root
         done
         cp -L $(command -v busybox) root/bin/busybox; ln -s busybox root/bin/sh
         echo root:x:0:0:root:/:/bin/sh > root/etc/passwd
         printf '#!/bin/sh\\necho word\\n' > root/ask; chmod +x root/ask
         ssh-keygen -q -t ed25519 -N '' -C users -f root/key; mv root/key key
         ssh-keygen -q -t ed25519 -N '' -C other -f root/other",
    );
}

#[test]
fn a_command_uses_the_keys_of_an_agent_and_changes_nothing_of_it() {
    if !able() {
        return;
    }
    let home = Home::new();
    // That none of these succeeds is not enough: the agent tells below.
    let dockerfile = "FROM scratch
COPY root /
ENV PATH=/bin:/usr/bin SSH_ASKPASS=/ask SSH_ASKPASS_REQUIRE=force
RUN --mount=type=ssh ssh-add -l > /listed && ssh-keygen -q -Y sign -n file -f /key.pub /listed
RUN --mount=type=ssh for change in -D '-d /key.pub' -x /other; do \\
    if ssh-add $change; then exit 9; fi; done; ssh-add -l | cmp - /listed
";
    context(&home, dockerfile);
    let agent = UsersAgent::start(&home);
    let key = home.path("context/key");
    agent.add(&["-q", key.to_str().unwrap()]);
    let before = agent.add(&["-l"]);
    let mut build = home.build(&home.path("context"));
    let ssh = format!("--ssh=default={}", agent.socket.display());
    let output = format!("--output=type=local,dest={}", home.path("out").display());
    succeed(build.args([&ssh, &output]));
    assert_eq!(agent.add(&["-l"]), before);
    let listed = fs::read_to_string(home.path("out/listed")).unwrap();
    assert_eq!(listed, before);
    assert_is_signed(&home);
}

/// That the signature is of the user's key is for OpenSSH to say.
fn assert_is_signed(home: &Home) {
    let verify = "(printf 'users '; cat out/key.pub) > allowed
                  ssh-keygen -Y verify -n file -I users -f allowed -s out/listed.sig < out/listed";
    shell(&home.path(""), verify);
}

#[test]
fn an_agent_that_was_started_for_a_build_is_killed_with_rbuild() {
    let programs = ["ssh-agent", "ssh-add", "ssh-keygen"].map(Feature::Program);
    if !require(&RUNS_BUSYBOX) || !require(&programs) {
        return;
    }
    let home = Home::new();
    let context = home.context(
        "FROM scratch
COPY --from=host busybox /bin/busybox
RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]
RUN --mount=type=ssh test -S $SSH_AUTH_SOCK && echo begun && sleep 600
",
    );
    shell(&context, "ssh-keygen -q -t ed25519 -N '' -f ../key");
    let mut build = home.build(&context);
    let ssh = format!("--ssh=default={}", home.path("key").display());
    build.args([&ssh, "--build-context=host=/bin", "--network=none"]);
    let mut build = Ending(build.stderr(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(build.0.stderr.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with(" begun")), "it failed");
    let root = home.path("root");
    let its_agents = || {
        let is_its = |line: &String| line.contains(root.to_str().unwrap());
        let lines = command_lines().into_iter().filter(is_its);
        lines.filter(|line| line.starts_with("ssh-agent")).count()
    };
    assert_eq!(its_agents(), 1);
    // SIGKILL: it can do nothing about it.
    drop(build);
    wait_until("the agent has ended", || its_agents() == 0);
}

#[test]
fn a_store_too_deep_for_an_agents_socket_is_told() {
    if !require(&[
        Feature::Program("ssh-agent"),
        Feature::Program("ssh-keygen"),
    ]) {
        return;
    }
    let home = Home::new();
    let context = home.context("FROM scratch\nCOPY Dockerfile /\n");
    shell(&context, "ssh-keygen -q -t ed25519 -N '' -f ../key");
    let mut build = home.build(&context);
    let deep = "deep/".repeat(20);
    build.env("RBUILD_ROOT", home.path(&deep));
    let ssh = format!("--ssh=default={}", home.path("key").display());
    let said = fail_with(3, build.arg(ssh)).stderr;
    assert!(said.contains("a socket's path"), "{said}");
    assert!(said.contains("--root"), "{said}");
}

/// How many connections the command below opens, and how many of them its agent keeps waiting.
const CLIENTS: usize = 200;
const HELD: usize = 64;

/// Answers a client that asks for keys that there are none, until it ends.
fn answer(mut client: UnixStream) {
    let mut request = [0; 5];
    while client.read_exact(&mut request).is_ok() {
        assert_eq!(request, [0, 0, 0, 1, 11]);
        client.write_all(&[0, 0, 0, 5, 12, 0, 0, 0, 0]).unwrap();
    }
}

/// An agent that answers as late as it can.
fn serve_slowly(listener: &UnixListener) {
    let mut held = VecDeque::new();
    for _ in 0..CLIENTS {
        held.push_back(listener.accept().unwrap().0);
        if held.len() == HELD {
            held.pop_front().into_iter().for_each(answer);
        }
    }
    held.into_iter().for_each(answer);
}

#[test]
fn a_command_that_opens_many_connections_waits_for_its_own() {
    if !able() {
        return;
    }
    let home = Home::new();
    let dockerfile = "FROM scratch
COPY root /
ENV PATH=/bin:/usr/bin
RUN --mount=type=ssh for i in $(busybox seq 200); do ssh-add -l >> /told & done; wait
";
    context(&home, dockerfile);
    let socket = home.short_path("agent");
    let listener = UnixListener::bind(&socket).unwrap();
    let serving = thread::spawn(move || serve_slowly(&listener));
    let mut build = home.build(&home.path("context"));
    let ssh = format!("--ssh=default={}", socket.display());
    let output = format!("--output=type=local,dest={}", home.path("out").display());
    build.args([&ssh, &output, "--network=none"]);
    succeed(&mut with_few_open_files(&build));
    let told = fs::read_to_string(home.path("out/told")).unwrap();
    let answers = told.lines().filter(|line| line.contains("no identities"));
    assert_eq!(answers.count(), CLIENTS, "{told}");
    serving.join().unwrap();
}

/// The command where fewer files may be open than there are connections.
fn with_few_open_files(build: &Command) -> Command {
    let mut command = Command::new("sh");
    let script = "ulimit -n 300 && exec \"$@\"";
    command.args(["-c", script, "sh"]).arg(build.get_program());
    command.args(build.get_args()).stdin(Stdio::null());
    for (name, value) in build.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
}
