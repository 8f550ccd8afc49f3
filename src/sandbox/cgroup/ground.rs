//! Where in a hierarchy of version 2 groups can be made that limit something.
//!
//! A group with processes hands on no controllers, but for the topmost, which root takes. Others
//! take the group that they were given, as systemd gives one by `Delegate=`. Where rbuild itself is
//! in it, it goes into one below, as podman and BuildKit do; with others in it, it stays as it is:
//! they are not rbuild's to move.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;

use crate::sandbox::cgroup::PARENT;
use crate::sys;
use crate::sys::process;

/// A group below which others can be made that limit something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ground {
    pub(super) group: PathBuf,
    /// Whether this process has to leave it first.
    pub(super) is_taken: bool,
}

/// Finds it, or says why there is none; `own` is the group of this process.
pub(super) fn find(top: &Path, own: &Path, is_kin: impl Fn(u32) -> bool) -> Result<Ground, String> {
    let free = |group: &Path| Ground {
        group: group.to_owned(),
        is_taken: false,
    };
    // That of the whole machine alone has no type, and may have processes.
    if !top.join("cgroup.type").exists() && is_given(top) {
        return Ok(free(top));
    }
    let above = own.ancestors().take_while(|group| group.starts_with(top));
    // Whoever an rbuild started that went below is there too.
    let parents = above.clone().find(|group| group.ends_with(PARENT));
    if let Some(ground) = parents.and_then(Path::parent).filter(|it| is_given(it)) {
        return Ok(free(ground));
    }
    if let Some(ground) = above.skip(1).find(|group| is_handed_on(group)) {
        return Ok(free(ground));
    }
    if !is_given(own) {
        return Err(format!("go below {own:?}, which belongs to others"));
    }
    match members(own).into_iter().find(|member| !is_kin(*member)) {
        Some(other) => Err(format!("go below {own:?}, where process {other} is too")),
        None => Ok(Ground {
            group: own.to_owned(),
            is_taken: true,
        }),
    }
}

/// Moves this process and its kin from a group into one below it.
pub(super) fn leave(group: &Path, seat: &Path, is_kin: impl Fn(u32) -> bool) -> sys::Result<()> {
    let seat = seat.join("cgroup.procs");
    // Whom it starts from now on begins there.
    super::write(&seat, "0")?;
    for member in members(group).into_iter().filter(|member| is_kin(*member)) {
        // One that has ended meanwhile is gone from there as well.
        let _ended = super::write(&seat, &member.to_string());
    }
    Ok(())
}

/// Tells whether a process is this one or descends from it.
pub(super) fn is_kin(process: u32) -> bool {
    let parents = std::iter::successors(Some(process), |process| process::parent(*process));
    parents.into_iter().any(|it| it == std::process::id())
}

/// Whether this process may make groups in it and have it hand on controllers to them.
fn is_given(group: &Path) -> bool {
    let opens = |name: &str| File::options().write(true).open(group.join(name)).is_ok();
    opens("cgroup.procs") && opens("cgroup.subtree_control")
}

/// Whether it is a group that this process's own was made in by whom it was given to, as with
/// systemd's `DelegateSubgroup=`. Slices, and what a manager of a user's units has, are systemd's.
fn is_handed_on(group: &Path) -> bool {
    let is_slice = group.extension().is_some_and(|kind| kind == "slice");
    let is_managers = group.join("init.scope").is_dir();
    !is_slice && !is_managers && is_given(group) && members(group).is_empty()
}

/// The processes in a group; one that is not in sight is 0.
fn members(group: &Path) -> Vec<u32> {
    let text = fs::read_to_string(group.join("cgroup.procs"));
    let lines = text.as_deref().unwrap_or("0").lines();
    lines.map(|line| line.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A hierarchy in which these groups were given to this process; the topmost was not, and has a
    /// type, as in a container.
    fn hierarchy(given: &[(&str, &str)]) -> TempDir {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join("cgroup.type"), "domain").unwrap();
        for (name, members) in given {
            let group = top.path().join(name);
            fs::create_dir_all(&group).unwrap();
            fs::write(group.join("cgroup.procs"), members).unwrap();
            fs::write(group.join("cgroup.subtree_control"), "").unwrap();
        }
        top
    }

    /// What is found by a process in this group, all of whose kin has numbers below 100.
    fn found(top: &TempDir, own: &str) -> Result<(PathBuf, bool), String> {
        let own = top.path().join(own);
        let found = find(top.path(), &own, |process| (1..100).contains(&process))?;
        let inside = found.group.strip_prefix(top.path()).unwrap();
        Ok((inside.to_owned(), found.is_taken))
    }

    #[test]
    fn the_topmost_of_the_machine_is_taken_by_whom_it_belongs_to() {
        let top = hierarchy(&[("", "1\n500\n")]);
        fs::remove_file(top.path().join("cgroup.type")).unwrap();
        assert_eq!(found(&top, "session-1.scope").unwrap(), ("".into(), false));
    }

    #[test]
    fn a_group_that_was_given_is_left_for_one_below() {
        let top = hierarchy(&[("run.scope", "7\n8\n")]);
        let expected = ("run.scope".into(), true);
        assert_eq!(found(&top, "run.scope").unwrap(), expected);
        // As in a container whose first process is rbuild.
        let top = hierarchy(&[("", "1\n")]);
        assert_eq!(found(&top, "").unwrap(), ("".into(), true));
    }

    #[test]
    fn others_are_not_moved() {
        for members in ["7\n500\n", "7\n0\n"] {
            let top = hierarchy(&[("run.scope", members)]);
            let why_not = found(&top, "run.scope").unwrap_err();
            assert!(why_not.contains("is too"), "{why_not}");
        }
    }

    #[test]
    fn a_group_that_was_not_given_is_left_alone() {
        let top = hierarchy(&[]);
        fs::create_dir(top.path().join("session-1.scope")).unwrap();
        let why_not = found(&top, "session-1.scope").unwrap_err();
        assert!(why_not.contains("belongs to others"), "{why_not}");
    }

    #[test]
    fn who_was_started_by_one_that_went_below_stays_there() {
        let top = hierarchy(&[("run.scope", ""), ("run.scope/rbuild/seat", "7\n500\n")]);
        let expected = ("run.scope".into(), false);
        assert_eq!(found(&top, "run.scope/rbuild/seat").unwrap(), expected);
    }

    #[test]
    fn a_group_above_without_processes_is_taken_unless_it_is_systemds() {
        let top = hierarchy(&[("run.service", ""), ("run.service/main", "7\n500\n")]);
        let expected = ("run.service".into(), false);
        assert_eq!(found(&top, "run.service/main").unwrap(), expected);
        let groups = ["user@7.service", "user@7.service/app.slice"].map(|name| (name, ""));
        let top = hierarchy(&groups);
        fs::create_dir(top.path().join("user@7.service/init.scope")).unwrap();
        assert!(found(&top, "user@7.service/app.slice/run.scope").is_err());
    }

    #[test]
    fn kin_descends_from_this_process() {
        let (own, parent) = (std::process::id(), std::os::unix::process::parent_id());
        assert!(is_kin(own) && !is_kin(parent) && !is_kin(0));
        assert_eq!(process::parent(own), Some(parent));
    }

    #[test]
    fn this_process_and_its_kin_leave_and_others_stay() {
        let top = hierarchy(&[("run.scope", "7\n500\n")]);
        let seat = top.path().join("run.scope/seat");
        fs::create_dir(&seat).unwrap();
        leave(&top.path().join("run.scope"), &seat, |process| {
            process < 100
        })
        .unwrap();
        // A plain file keeps what was written last.
        assert_eq!(fs::read_to_string(seat.join("cgroup.procs")).unwrap(), "7");
    }
}
