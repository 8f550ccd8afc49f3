//! Builds that try to get out: to read or to change what is beside their context, their base or
//! their sandbox. Each attack is a row of a table with a name of its own; after each, everything in
//! a guarded folder is as it was, and nothing of it is in the image or in what rbuild wrote.

mod context;
mod copy;
mod devices;
mod modes;
mod mount;

use std::fs;
use std::fs::File;
use std::process::Command;
use std::process::Stdio;

use crate::support::Feature;
use crate::support::guard::CANARY;
use crate::support::guard::Guard;
use crate::support::guard::holding;
use crate::support::home::Home;
use crate::support::home::Output;
use crate::support::home::output;
use crate::support::require;
use crate::support::tree::shell;

/// One attack.
struct Attack {
    /// What it tries.
    name: &'static str,
    /// Makes the files of the context, in its folder; `$OUT` is the guarded folder.
    files: &'static str,
    /// `OUT` in it is the guarded folder, `BASE` a base image with a shell.
    dockerfile: &'static str,
    /// How the context gets to rbuild.
    sent: Sent,
    /// How it must end.
    ends: Ends,
}

/// How a context gets to rbuild.
#[derive(Clone, Copy, PartialEq)]
enum Sent {
    /// As a folder.
    Folder,
    /// As the folder `context`, from a file `context.tar` beside it that `files` makes.
    Tar,
    /// As a folder, with these arguments besides.
    With(&'static [&'static str]),
    /// As `Tar`, with these arguments besides.
    TarWith(&'static [&'static str]),
}

/// How a build ends.
#[derive(Clone, Copy)]
enum Ends {
    /// With an image that has these paths.
    With(&'static [&'static str]),
    /// With a message that has this in it.
    Refused(&'static str),
}

/// A base with a shell, made once per store.
const BASE: &str = "FROM scratch AS base\nCOPY --from=host busybox /bin/busybox\n\
    RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/bin\nFROM base";

fn able() -> bool {
    require(&[
        Feature::Root,
        Feature::Namespaces,
        Feature::Overlay,
        Feature::Program("busybox"),
    ])
}

/// Goes through all attacks of a table, on one store.
fn withstand(attacks: &[Attack]) {
    if able() {
        withstand_on(&Home::new(), (Guard::new, &[]), attacks);
    }
}

/// Goes through all attacks of a table, on a store; those named may end otherwise than in namespaces.
fn withstand_on(
    home: &Home,
    (guard, otherwise): (impl Fn() -> Guard, &[&str]),
    attacks: &[Attack],
) {
    let mut wrong = Vec::new();
    for attack in attacks {
        let guard = guard();
        let output = attack.build(home, &guard);
        guard.assert_untouched(attack.name);
        attack.assert_nothing_read(home, &output);
        if !otherwise.contains(&attack.name) {
            wrong.extend(attack.unexpected(home, &output));
        }
        let _ = fs::remove_dir_all(home.path("result"));
        fs::remove_dir_all(home.path("context")).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let found = holding(&home.path("root"), CANARY);
    assert!(
        found.is_empty(),
        "the store has what was outside: {found:?}"
    );
}

impl Attack {
    fn build(&self, home: &Home, guard: &Guard) -> Output {
        let placed = |text: &str| text.replace("OUT", guard.text()).replace("BASE", BASE);
        home.write("context/Dockerfile", &placed(self.dockerfile));
        let context = home.path("context");
        shell(&context, &format!("OUT={}\n{}", guard.text(), self.files));
        home.give(&context);
        let mut command = home.rbuild();
        command.args([
            "build",
            "--progress",
            "plain",
            "--build-context",
            "host=/bin",
        ]);
        command.args(home.without_way_out());
        command.arg(format!("--output={}", home.path("result").display()));
        self.send(&mut command, home, &placed);
        output(&mut command)
    }

    fn send(&self, command: &mut Command, home: &Home, placed: &dyn Fn(&str) -> String) {
        command.current_dir(home.path("context"));
        if let Sent::With(arguments) | Sent::TarWith(arguments) = self.sent {
            command.args(arguments.iter().map(|text| placed(text)));
        }
        match self.sent {
            Sent::Folder | Sent::With(_) => command.arg("."),
            Sent::Tar | Sent::TarWith(_) => {
                let tar = File::open(home.path("context/context.tar")).unwrap();
                command
                    .current_dir(home.path(""))
                    .arg("-")
                    .stdin(Stdio::from(tar))
            }
        };
    }

    /// Neither the result nor what was said has anything of the guarded files.
    fn assert_nothing_read(&self, home: &Home, output: &Output) {
        let name = self.name;
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(!said.contains(CANARY), "{name}: it told\n{said}");
        let found = holding(&home.path("result"), CANARY);
        assert!(found.is_empty(), "{name}: it read, see {found:?}");
    }

    /// What is wrong with how the build ended.
    fn unexpected(&self, home: &Home, output: &Output) -> Option<String> {
        let told = |what: String| Some(format!("{}: {what}\n{}", self.name, output.stderr));
        match self.ends {
            Ends::With(paths) => {
                if output.code != Some(0) {
                    return told(format!("it ended with {:?}", output.code));
                }
                let missing = paths.iter().find(|path| {
                    let path = home.path("result").join(path.trim_start_matches('/'));
                    path.symlink_metadata().is_err()
                });
                missing.and_then(|path| told(format!("the image has no {path}")))
            }
            Ends::Refused(reason) => match output.code {
                Some(1..=3) if output.stderr.contains(reason) => None,
                code => told(format!("it ended with {code:?}, not {reason:?}")),
            },
        }
    }
}
