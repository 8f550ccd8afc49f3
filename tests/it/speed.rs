//! What a warm build costs, counted and not timed: the number of instructions hardly depends on
//! what else the machine does.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::Output;
use crate::support::home::RBUILD;
use crate::support::home::succeed;
use crate::support::require;

/// What callgrind counted for the build below, in the profile that the tests are compiled in. When
/// a change makes it grow with good reason, or shrink, the new figure is written here.
const RECORDED: u64 = 11_400_000;

/// How far above that a count may lie, in percent: other compilers and C libraries count
/// otherwise. A runtime, a TLS client or a compiled regex costs more.
const TOLERANCE_PERCENT: u64 = 20;

const BASE: &str = "FROM scratch\nCOPY --from=host busybox /bin/busybox\n\
                    RUN [\"/bin/busybox\", \"--install\", \"/bin\"]\n";

const STEPS: &str = "FROM base\nRUN echo 1 > /1\nRUN echo 2 > /2\nRUN echo 3 > /3\n\
                     RUN echo 4 > /4\nRUN echo 5 > /5\n";

#[test]
fn a_warm_build_takes_no_more_instructions_than_recorded() {
    if !require(&[
        Feature::Root,
        Feature::Namespaces,
        Feature::Program("busybox"),
        Feature::Program("valgrind"),
    ]) {
        return;
    }
    let home = Home::new();
    let base = home.context(BASE);
    let mut command = home.build(&base);
    command.args(["--build-context", "host=/bin", "--tag", "base"]);
    succeed(&mut command);
    let steps = home.write("steps", STEPS);
    // The second one finds everything done; from then on nothing is written any more.
    for _ in 0..2 {
        build(home.rbuild(), &steps);
    }
    let mut counted = Command::new("valgrind");
    counted
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", RBUILD])
        .envs(
            home.rbuild()
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    let log = build(counted, &steps).stderr;
    let count = instructions(&log);
    let limit = RECORDED + RECORDED * TOLERANCE_PERCENT / 100;
    assert!(
        count <= limit,
        "{count} instructions; {RECORDED} were recorded, and {limit} are allowed"
    );
    assert!(
        count >= RECORDED / 2,
        "{count} instructions: far fewer than the {RECORDED} recorded; record the new figure"
    );
}

/// A build of a Dockerfile without a context: a walk inside a directory takes `openat2`, which
/// valgrind does not know.
fn build(mut rbuild: Command, dockerfile: &Path) -> Output {
    rbuild.args(["build", "--quiet", "--tag", "steps", "-"]);
    succeed(rbuild.stdin(File::open(dockerfile).unwrap()))
}

/// Reads what callgrind says at its end: `==1234== Collected : 11487543`. Processes that were started
/// to try something say the same of themselves, before.
fn instructions(log: &str) -> u64 {
    let mut lines = log.lines().rev();
    let line = lines.find_map(|line| line.split_once("Collected : "));
    let (_, count) = line.unwrap_or_else(|| panic!("callgrind counted nothing:\n{log}"));
    count.trim().parse().unwrap()
}
