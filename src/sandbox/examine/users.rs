//! Who rbuild is, and whom it may be.

use std::fs;
use std::path::Path;

use crate::sandbox::Error;
use crate::sandbox::examine::Finding;
use crate::sandbox::examine::finding;
use crate::sandbox::ladder;
use crate::sandbox::rootless::unmapped;
use crate::sandbox::rootless::unmapped::Why;
use crate::sys::id;
use crate::sys::id_map::IdMap;
use crate::sys::process;

/// What keeps users from making user namespaces: a setting, the value that does, and one that does
/// not.
const SETTINGS: [(&str, &str, &str); 2] = [
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
];

/// How many namespaces there may be of each kind that a sandbox has.
const QUOTAS: [(&str, &str, &str); 5] = [
    ("user.max_user_namespaces", "0", "28633"),
    ("user.max_mnt_namespaces", "0", "28633"),
    ("user.max_pid_namespaces", "0", "28633"),
    ("user.max_ipc_namespaces", "0", "28633"),
    ("user.max_uts_namespaces", "0", "28633"),
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

/// Gives the line that lets there be more namespaces.
pub(super) fn raise_quotas() -> String {
    let line = right(&QUOTAS);
    line.unwrap_or_else(|| {
        "raise what is used up, on the machine: sudo sysctl user.max_mnt_namespaces=N, or that of \
         user, pid, ipc or uts"
            .to_owned()
    })
}

fn allow_user_namespaces() -> String {
    if process::status("Seccomp").is_some_and(|mode| mode != "0") {
        if let Some(line) = right(&QUOTAS) {
            return line;
        }
        return "docker run --user 0, or --security-opt seccomp=unconfined --security-opt \
                systempaths=unconfined; Kubernetes: securityContext: {runAsUser: 0}, or \
                {seccompProfile: {type: Unconfined}, procMount: Unmasked}"
            .to_owned();
    }
    let all = [&QUOTAS[..], &SETTINGS].concat();
    right(&all).unwrap_or_else(|| "run rbuild as root".to_owned())
}

/// Gives the line that sets right those settings that are wrong; nothing if none is.
fn right(settings: &[(&str, &str, &str)]) -> Option<String> {
    let is_wrong = |(name, wrong, _): &&(&str, &str, &str)| {
        let path = Path::new("/proc/sys").join(name.replace('.', "/"));
        fs::read_to_string(path).is_ok_and(|value| value.trim() == *wrong)
    };
    let wrong = settings.iter().filter(is_wrong);
    let words: String = wrong
        .map(|(name, _, right)| format!(" {name}={right}"))
        .collect();
    (!words.is_empty()).then(|| format!("sudo sysctl{words}"))
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
    let map = IdMap::own_users();
    let remembered =
        "owners of files are remembered, and commands that change to another user stay root";
    let too_few = "files and commands of a user with a higher number fail";
    let (result, costs, remedy) = match map.count() {
        0..=1 => {
            let Why {
                because, remedy, ..
            } = unmapped::why(&map);
            let found = format!("one: its own, since {because}");
            (Err(found), remembered, remedy)
        }
        count @ ..unmapped::LEAST => {
            let found = format!("{count}, but images have {} and more", unmapped::LEAST);
            (Err(found), too_few, unmapped::remedy_for_few(&map))
        }
        count if count >= u64::from(u32::MAX) => (Ok("all".to_owned()), "", String::new()),
        count => (Ok(count.to_string()), "", String::new()),
    };
    finding("users it may be", result).unless_good(costs, remedy)
}
