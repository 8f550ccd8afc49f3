//! Who rbuild is, and whom it may be.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::sandbox::Error;
use crate::sandbox::examine::Finding;
use crate::sandbox::examine::finding;
use crate::sandbox::examine::status;
use crate::sandbox::ladder;
use crate::sandbox::ranges;
use crate::sys::file;
use crate::sys::id;

/// How many numbers a user is given as a rule, and the first of them.
const COUNT: u32 = 65_536;
const FIRST: u32 = 100_000;

/// What keeps users from making user namespaces: a setting, the value that does, and one that does
/// not.
const SETTINGS: [(&str, &str, &str); 3] = [
    ("user.max_user_namespaces", "0", "28633"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
];

pub(super) fn user(refused: Option<&Error>) -> Finding {
    let uid = id::effective().uid;
    let result = match (refused, uid, id::is_initial_user_namespace()) {
        (Some(error), ..) => Err(error.to_string()),
        (None, 0, true) => Ok("root".to_owned()),
        (None, 0, false) => Ok("root of a user namespace".to_owned()),
        (None, ..) => Err(format!("user {uid}, no root of a user namespace")),
    };
    let remedy = match refused {
        Some(error @ Error::Ranges { .. }) => error.hint().unwrap_or_default().to_owned(),
        _ => allow_user_namespaces(),
    };
    finding("user", result).unless_good("nothing can be run", remedy)
}

fn allow_user_namespaces() -> String {
    if status("Seccomp").is_some_and(|mode| mode != "0") {
        return "docker run --user 0, or --security-opt seccomp=unconfined --security-opt \
                systempaths=unconfined; Kubernetes: securityContext: {runAsUser: 0}, or \
                {seccompProfile: {type: Unconfined}, procMount: Unmasked}"
            .to_owned();
    }
    let is_wrong = |(name, wrong, _): &&(&str, &str, &str)| {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        fs::read_to_string(path).is_ok_and(|value| value.trim() == *wrong)
    };
    let wrong = SETTINGS.iter().filter(is_wrong);
    let words = wrong.map(|(name, _, right)| format!(" {name}={right}"));
    match words.collect::<String>() {
        none if none.is_empty() => "run rbuild as root".to_owned(),
        words => format!("sudo sysctl{words}"),
    }
}

pub(super) fn capabilities() -> Finding {
    let missing: Vec<_> = ladder::missing_for_chroot().collect();
    let result = match missing.as_slice() {
        [] => Ok("those that are needed".to_owned()),
        missing => Err(format!("missing: {}", missing.join(", "))),
    };
    let flags: String = missing
        .iter()
        .map(|name| format!(" --cap-add {name}"))
        .collect();
    finding("capabilities", result).unless_good(
        "commands cannot be run as the users they should be, or not at all",
        format!(
            "docker run{flags}; Kubernetes: securityContext: {{capabilities: {{add: [{}]}}}}",
            missing.join(", ")
        ),
    )
}

pub(super) fn ranges() -> Finding {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let (result, remedy) = match numbers(&map).1 {
        0..=1 => {
            let (because, remedy) = why_alone(&map);
            (Err(format!("one: its own, since {because}")), remedy)
        }
        count if count >= u64::from(u32::MAX) => (Ok("all".to_owned()), String::new()),
        count => (Ok(count.to_string()), String::new()),
    };
    finding("users it may be", result).unless_good(
        "owners of files are remembered, and commands that change to another user stay root",
        remedy,
    )
}

/// Gives the first number outside of a map, and how many there are.
fn numbers(map: &str) -> (u32, u64) {
    let row = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let rows: Vec<(u32, u64)> = map.lines().filter_map(row).collect();
    let first = rows.first().map_or(0, |(outside, _)| *outside);
    (first, rows.iter().map(|(_, count)| count).sum())
}

/// Says why this user is given no others, and what gives him some.
fn why_alone(map: &str) -> (String, String) {
    let uid = numbers(map).0;
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let passwd = read("/etc/passwd");
    let name = ranges::name_of(&passwd, uid);
    let who = name.map_or_else(|| uid.to_string(), str::to_owned);
    let files = ["/etc/subuid", "/etc/subgid"].map(|path| (path, read(path)));
    let has_none = |text: &str| ranges::map(text, name, uid, uid).is_none();
    let lacking = files.iter().filter(|(_, text)| has_none(text));
    let lacking: Vec<_> = lacking.map(|(path, _)| *path).collect();
    let start = files.iter().map(|(_, text)| ranges::end(text)).max();
    let line = format!(
        "echo {who}:{}:{COUNT} | sudo tee -a {}",
        start.unwrap_or(FIRST).max(FIRST),
        lacking.join(" ")
    );
    match (ranges::mapping_programs(), lacking.as_slice()) {
        (None, []) => ("newuidmap is not installed".to_owned(), INSTALL.to_owned()),
        (None, _) => (
            format!("newuidmap is not installed, and there is no range for {who}"),
            format!("{INSTALL}, then {line}"),
        ),
        (Some(_), [_, ..]) => (
            format!("there is no range for {who} in {}", lacking.join(" and ")),
            line,
        ),
        (Some((first, second)), []) => why_refused([first, second], uid),
    }
}

const INSTALL: &str = "sudo apt-get install uidmap";

/// Says why the programs that map ranges do not, although there are ranges.
fn why_refused(programs: [PathBuf; 2], uid: u32) -> (String, String) {
    if status("NoNewPrivs").as_deref() == Some("1") {
        return (
            "no program may gain rights here (no_new_privs)".to_owned(),
            "leave out docker's --security-opt no-new-privileges; Kubernetes: securityContext: \
             {allowPrivilegeEscalation: true}"
                .to_owned(),
        );
    }
    for program in &programs {
        let path = program.display();
        if !file::may_raise_rights(program) {
            return (
                format!("{path} has no set-user-ID bit and no capabilities"),
                format!("sudo chmod u+s {path}"),
            );
        }
        if file::is_nosuid(program) {
            return (
                format!("{path} is on a file system that is mounted nosuid"),
                format!("sudo mount -o remount,suid $(findmnt -no TARGET --target {path})"),
            );
        }
    }
    let [program, _] = programs.map(|path| path.display().to_string());
    (
        format!("{program} refuses the ranges of /etc/subuid or /etc/subgid"),
        format!("see what it says: unshare -U sleep 9 & {program} $! 0 {uid} 1 1 START COUNT"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_tells_who_it_is_outside() {
        assert_eq!(numbers("         0       1000          1\n"), (1000, 1));
        assert_eq!(numbers("0 1000 1\n1 100000 65536\n"), (1000, 65537));
        assert_eq!(numbers(""), (0, 0));
    }
}
