//! Limits where no control group can be used, in every mode.

use std::fs;
use std::process::Command;

use rbuild::sandbox::PROCESSES_USUAL;
use rbuild::sys::limit;
use rustix::process::Resource;
use rustix::process::getrlimit;

use crate::support::Feature;
use crate::support::RUNS_BUSYBOX;
use crate::support::home::Home;
use crate::support::home::Output;
use crate::support::home::output;
use crate::support::home::succeed;
use crate::support::modes::RANGES;
use crate::support::modes::within;
use crate::support::require;
use crate::support::skip;

/// What is told of memory.
const EACH_PROCESS: &str = "--memory holds for each process by itself";

fn able() -> bool {
    let more = [Feature::UserNamespaces, Feature::Program("newuidmap")];
    require(&[&RUNS_BUSYBOX[..], &more].concat())
}

fn namespace() -> Home {
    Home::new()
}

fn chroot() -> Home {
    Home::with_arguments(&["--isolation=chroot"])
}

fn rootless() -> Home {
    Home::of_nobody(RANGES)
}

fn single() -> Home {
    Home::of_nobody("")
}

/// The modes in which a command has process numbers of its own.
const NUMBERED: [fn() -> Home; 3] = [namespace, rootless, single];

/// A command that finds no control group.
fn without_groups(command: &Command) -> Command {
    let script = "umount -lR /sys/fs/cgroup 2>/dev/null; exec \"$@\"";
    within(["unshare", "-m", "sh", "-c", script, "sh"], command)
}

/// A command that takes this kernel for an older one.
fn in_the_past(command: &Command) -> Command {
    within(["setarch", "--uname-2.6"], command)
}

fn knows_the_past() -> bool {
    let test = within(["setarch", "--uname-2.6"], &Command::new("true"));
    match { test }.status().is_ok_and(|status| status.success()) {
        true => true,
        false => {
            skip("no program runs with an older kernel's name");
            false
        }
    }
}

/// A build of busybox's shell with these commands.
fn build(home: &Home, flags: &[&str], commands: &[&str]) -> Command {
    let lines = commands
        .iter()
        .map(|command| format!("RUN [\"/bin/sh\", \"-c\", \"{command}\"]\n"));
    let lines: String = lines.collect();
    let context = home.context(&format!(
        "FROM scratch\nCOPY --from=host busybox /bin/sh\n{lines}"
    ));
    home.give(&context);
    let mut build = home.build(&context);
    build.args(["--no-cache", "--build-context=host=/bin"]);
    build.args(home.without_way_out()).args(flags);
    build
}

/// What a command of a build with these flags does.
fn run(home: &Home, flags: &[&str], command: &str) -> Output {
    output(&mut without_groups(&build(home, flags, &[command])))
}

/// What `ulimit -u` can say at most.
fn processes_of_user(limit: u64) -> String {
    let own = getrlimit(Resource::Nproc).current.unwrap_or(u64::MAX);
    format!(" <{}>\n", limit.min(own))
}

#[test]
fn a_fork_bomb_comes_to_its_end() {
    if !able() {
        return;
    }
    if !limit::has_own_numbers() {
        return skip("this kernel has process numbers for the whole machine only");
    }
    // It ends by itself, after a few hundred processes and some seconds, where nothing else ends it.
    let script = "b() { sleep 9 & [ $1 = 0 ] || { b $(($1-1)) & b $(($1-1)); }; wait; }; : > /err; \
                  (b 7 2> /err; : > /over) & \
                  until read -r word < /err || [ -e /over ]; do :; done; read -r word < /err; \
                  set -- /proc/[0-9]*; echo of 40 there are $#, $word; exit 7";
    let of_machine = || fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
    let before = of_machine();
    for home in NUMBERED.map(|home| home()) {
        let said = run(&home, &["--pids-limit=40"], script).stderr;
        assert!(said.contains("can't fork"), "{said}");
        assert!(said.contains("exit code 7"), "{said}");
        let counts = said.split(" of 40 there are ");
        let mut counts = counts.filter_map(|rest| rest.split(',').next()?.parse::<u32>().ok());
        assert!(counts.next().is_some_and(|count| count <= 40), "{said}");
    }
    assert_eq!(of_machine(), before);
}

#[test]
fn as_many_processes_as_are_allowed_can_be_started() {
    if !able() {
        return;
    }
    if !limit::has_own_numbers() {
        return skip("this kernel has process numbers for the whole machine only");
    }
    // The shell itself is one. Numbers are given anew, round after round.
    let script = "for round in 1 2 3; do set --; for i in 1 2 3 4; do sleep 1000 & set -- $* $!; done; \
                  kill $*; wait; done; for i in 1 2 3 4; do sleep 1000 & done; echo all; sleep 0; echo more";
    let home = namespace();
    let said = run(&home, &["--pids-limit=5"], script).stderr;
    assert!(said.contains(" all\n"), "{said}");
    assert!(said.contains("can't fork"), "{said}");
}

#[test]
fn a_usual_limit_holds_where_nothing_is_asked_for() {
    if !able() {
        return;
    }
    let numbers = limit::has_own_numbers();
    let last = 299 + PROCESSES_USUAL;
    for home in NUMBERED.map(|home| home()) {
        let script = "cd /proc/sys/kernel; echo 30000 > pid_max || cat pid_max";
        let said = run(&home, &[], script).stderr;
        assert!(!numbers || said.contains(&format!(" {last}\n")), "{said}");
        assert!(!said.contains("warning"), "{said}");
    }
    let said = run(
        &namespace(),
        &["--pids-limit=-1"],
        "cat /proc/sys/kernel/pid_max",
    );
    assert!(!said.stderr.contains(&format!(" {last}\n")), "{said:?}");
    let said = run(&chroot(), &[], "echo done").stderr;
    assert!(
        said.contains(" done\n") && !said.contains("warning"),
        "{said}"
    );
}

#[test]
fn an_older_kernel_counts_the_processes_of_a_user() {
    if !able() || !knows_the_past() {
        return;
    }
    let run = |home: &Home, flags: &[&str]| {
        let build = build(home, flags, &["echo \\\"<$(ulimit -u)>\\\""]);
        output(&mut without_groups(&in_the_past(&build)))
    };
    for home in [rootless(), single()] {
        let said = run(&home, &[]).stderr;
        assert!(said.contains(&processes_of_user(PROCESSES_USUAL)), "{said}");
        assert!(!said.contains("warning"), "{said}");
        let said = run(&home, &["--pids-limit=40"]).stderr;
        assert!(said.contains(&processes_of_user(1064)), "{said}");
        let told = "--pids-limit holds for all commands of one user together";
        assert_eq!(said.matches(told).count(), 1, "{said}");
    }
    // Of two limits on the same, the lower one holds.
    let home = rootless();
    let said = run(&home, &["--ulimit=nproc=5000"]).stderr;
    assert!(said.contains(&processes_of_user(5000)), "{said}");
    let said = run(&home, &["--ulimit=nproc=5000", "--pids-limit=40"]).stderr;
    assert!(said.contains(&processes_of_user(1064)), "{said}");
    // Nobody counts those of the machine's root.
    let refused = run(&namespace(), &["--pids-limit=40"]).stderr;
    assert!(refused.contains("--pids-limit cannot be kept"), "{refused}");
}

#[test]
fn too_much_memory_of_one_process_is_refused_to_it() {
    if !able() {
        return;
    }
    let script = "x=0123456789abcdef; while :; do x=$x$x; done";
    for home in [namespace(), chroot(), rootless(), single()] {
        let both = build(&home, &["--memory=32m"], &["echo little", script]);
        let failed = output(&mut without_groups(&both));
        assert_eq!(failed.code, Some(1), "{}", failed.stderr);
        assert!(failed.stderr.contains(" little\n"), "{}", failed.stderr);
        assert!(failed.stderr.contains("out of memory"), "{}", failed.stderr);
        let told = failed.stderr.matches(EACH_PROCESS).count();
        assert_eq!(told, 1, "{}", failed.stderr);
    }
}

#[test]
fn the_lower_of_two_limits_on_memory_holds() {
    if !able() {
        return;
    }
    let home = namespace();
    for (ulimit, kib) in [("data=16777216", "16384"), ("data=67108864", "32768")] {
        let flags = ["--memory=32m", "--ulimit", ulimit];
        let said = run(&home, &flags, "echo \\\"<$(ulimit -d)>\\\"").stderr;
        assert!(said.contains(&format!(" <{kib}>\n")), "{said}");
    }
}

#[test]
fn processors_are_kept_to_and_what_that_is_worth_is_told() {
    if !able() {
        return;
    }
    let cpu = limit::processors()[0];
    let flag = format!("--cpuset-cpus={cpu}");
    for home in NUMBERED.map(|home| home()) {
        let said = run(&home, &[&flag], "grep Cpus_allowed_list /proc/self/status").stderr;
        assert!(said.contains(&format!("list:\t{cpu}\n")), "{said}");
        assert!(said.contains("may take --cpuset-cpus back"), "{said}");
    }
}

#[test]
fn what_nothing_keeps_is_refused() {
    if !able() {
        return;
    }
    let refused = |home: &Home, flags: &[&str], flag: &str| {
        let refused = run(home, flags, "echo done").stderr;
        assert!(!refused.contains(" done\n"), "{refused}");
        let why = format!("  caused by: {flag} cannot be kept\n  caused by: find a cgroup");
        assert_eq!(refused.matches(&why).count(), 1, "{refused}");
        assert!(refused.contains("`rbuild doctor` says how"), "{refused}");
    };
    let home = namespace();
    for (flag, value) in [("--cpus", "1"), ("--cpu-shares", "512")] {
        refused(&home, &[flag, value], flag);
    }
    let more = ["--memory=32m", "--memory-swap=64m"];
    refused(&home, &more, "--memory-swap");
    let as_much = ["--memory=32m", "--memory-swap=32m"];
    let said = run(&home, &as_much, "echo done").stderr;
    assert!(said.contains(" done\n"), "{said}");
    refused(&chroot(), &["--pids-limit=40"], "--pids-limit");
}

#[test]
fn what_can_be_kept_instead_is_told() {
    if !able() {
        return;
    }
    let refused = |flag: &str| {
        let refused = run(&namespace(), &[flag], "echo done");
        assert_eq!(refused.code, Some(3), "{}", refused.stderr);
        refused.stderr
    };
    let said = refused("--cpuset-cpus=4000");
    assert!(
        said.contains(": there is no processor 4000 here ("),
        "{said}"
    );
    if limit::has_own_numbers() {
        let said = refused("--pids-limit=1");
        assert!(said.contains("2 is the least that can be kept"), "{said}");
    }
}

#[test]
fn who_runs_an_image_is_told_as_well() {
    if !able() {
        return;
    }
    let home = namespace();
    succeed(&mut build(&home, &["-t", "box"], &[":"]));
    let mut run = home.rbuild();
    run.args(["run", "--network=none", "--memory=32m", "--pids-limit=100"]);
    let mut detached = home.rbuild();
    detached.args(["run", "-d", "--network=none", "--memory=32m"]);
    for command in [&mut run, &mut detached] {
        command.args(["box", "/bin/sh", "-c", "echo $(ulimit -d)"]);
        let ran = output(&mut without_groups(command));
        assert_eq!(ran.stderr.matches(EACH_PROCESS).count(), 1, "{ran:?}");
        assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    }
}

#[test]
fn the_doctor_says_what_is_kept_without_groups() {
    if !able() {
        return;
    }
    let costs = |home: &Home| {
        let mut doctor = home.rbuild();
        let told = succeed(&mut without_groups(
            doctor.args(["doctor", "--format=json"]),
        ));
        let told: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
        let mut findings = told["findings"].as_array().unwrap().iter();
        let limits = findings
            .find(|finding| finding["name"] == "limits")
            .unwrap();
        assert_eq!(limits["ok"], false, "{told}");
        limits["costs"].as_str().unwrap().to_owned()
    };
    let refused = "--pids-limit is refused";
    for home in NUMBERED.map(|home| home()) {
        let costs = costs(&home);
        for part in [EACH_PROCESS, "--cpus is refused"] {
            assert!(costs.contains(part), "{costs}");
        }
        let is_kept = !costs.contains(refused);
        assert!(is_kept || !limit::has_own_numbers(), "{costs}");
    }
}
