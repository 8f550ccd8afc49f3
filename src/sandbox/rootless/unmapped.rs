//! Why a user who is root of a user namespace has no other users there, and what gives him some.

use std::fs;
use std::path::PathBuf;

use crate::sandbox::rootless::ranges;
use crate::sys::file;
use crate::sys::id_map::IdMap;
use crate::sys::process;

/// How many numbers a user is given as a rule, and the first of them.
const COUNT: u32 = 65_536;
const FIRST: u32 = 100_000;

/// The highest number that every distribution has is that of `nobody`, 65534.
pub(in crate::sandbox) const LEAST: u64 = 65_535;

/// Which numbers of users and of groups are given to whom.
const FILES: [&str; 2] = ["/etc/subuid", "/etc/subgid"];

/// Says why this user is given no others although he has ranges; nothing if he is, or has none.
pub(in crate::sandbox) fn why_in_vain() -> Option<String> {
    let map = IdMap::own_users();
    let why = (map.count() == 1).then(|| why(&map));
    why.filter(|why| why.has_ranges).map(|why| why.because)
}

/// Why a user is given no others.
#[derive(Debug)]
pub(in crate::sandbox) struct Why {
    pub(in crate::sandbox) because: String,
    /// What gives him some.
    pub(in crate::sandbox) remedy: String,
    /// Whether the machine's files promise him some.
    pub(super) has_ranges: bool,
}

/// Says why this user, whose map this is, is given no others.
pub(in crate::sandbox) fn why(map: &IdMap) -> Why {
    let uid = map.outside(0).unwrap_or(0);
    let passwd = read("/etc/passwd");
    let name = ranges::name_of(&passwd, uid);
    let who = name.map_or_else(|| uid.to_string(), str::to_owned);
    let files = FILES.map(|path| (path, read(path)));
    let has_none = |text: &str| ranges::map(text, name, uid, uid).is_none();
    let lacking = files.iter().filter(|(_, text)| has_none(text));
    let lacking: Vec<_> = lacking.map(|(path, _)| *path).collect();
    let line = line(&who, &lacking);
    let (because, remedy) = match (ranges::mapping_programs(), lacking.as_slice()) {
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
    };
    Why {
        because,
        remedy,
        has_ranges: lacking.is_empty(),
    }
}

/// Gives the line that gives this user, whose map this is, as many others as images have.
pub(in crate::sandbox) fn remedy_for_few(map: &IdMap) -> String {
    let uid = map.outside(0).unwrap_or(0);
    let passwd = read("/etc/passwd");
    let name = ranges::name_of(&passwd, uid).map(str::to_owned);
    line(&name.unwrap_or_else(|| uid.to_string()), &FILES)
}

/// Gives the line that adds a range for `who` to each of these files, behind all that are given.
fn line(who: &str, to: &[&str]) -> String {
    let end = FILES.map(|path| ranges::end(&read(path))).into_iter().max();
    let start = end.unwrap_or(FIRST).max(FIRST);
    format!("echo {who}:{start}:{COUNT} | sudo tee -a {}", to.join(" "))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

const INSTALL: &str = "sudo apt-get install uidmap";

/// Says why the programs that map ranges do not, although there are ranges.
fn why_refused(programs: [PathBuf; 2], uid: u32) -> (String, String) {
    if process::status("NoNewPrivs").as_deref() == Some("1") {
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
