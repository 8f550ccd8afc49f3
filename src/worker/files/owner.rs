//! `--chown` and `USER`: whose a file becomes.

use std::io::Read;
use std::path::Path;

use crate::graph;
use crate::progress::Step;
use crate::sys::Owner;
use crate::sys::Root;

/// More than any real `/etc/passwd`; what is beyond is not looked at.
const FILE_MAX_BYTES: u64 = 4 << 20;

/// Whose a file becomes, and whether every name was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::worker) struct Lookup {
    /// The numbers; as BuildKit has it, 0 for a user that was not found, and the user's own group
    /// for a group that was not.
    pub(in crate::worker) owner: Owner,
    /// Whether a name was not found.
    pub(in crate::worker) unknown: bool,
}

/// Looks up `user[:group]` in the `/etc/passwd` and `/etc/group` of a root filesystem.
///
/// A number alone is user and group; a name alone brings the user's own group. `root` is 0 whatever
/// the files say, and so is what stands empty before or behind a `:`.
pub(in crate::worker) fn look_up(root: &Root, text: &str) -> Lookup {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let known_user = match graph::owner_number(user) {
        Some(uid) => Some((uid, uid)),
        None => find(root, "etc/passwd", user)
            .and_then(|fields| Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))),
    };
    let own_group = known_user.map_or(0, |(_, gid)| gid);
    let known_group = match group {
        None => Some(own_group),
        Some(group) => graph::owner_number(group).or_else(|| {
            find(root, "etc/group", group).and_then(|fields| fields.get(2)?.parse().ok())
        }),
    };
    Lookup {
        owner: Owner {
            uid: known_user.map_or(0, |(uid, _)| uid),
            gid: known_group.unwrap_or(own_group),
        },
        unknown: known_user.is_none() || known_group.is_none(),
    }
}

/// Says that an owner is not known. BuildKit takes root for it without a word.
pub(in crate::worker) fn warn_unknown(step: &Step, text: &str) {
    step.sink().warn(format!(
        "{}: {text:?} is not in /etc/passwd or /etc/group of the image; 0 is used instead",
        step.name()
    ));
}

/// Finds the line of `name` and gives its fields.
fn find(root: &Root, path: &str, name: &str) -> Option<Vec<String>> {
    let file = root.open_file(Path::new(path)).ok()?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let fields = |line: &str| {
        line.trim()
            .split(':')
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    text.lines().map(fields).find(|fields| fields[0] == name)
}

#[cfg(test)]
mod tests {
    use super::look_up;
    use crate::sys::Root;

    #[test]
    fn finds_names_and_numbers() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("etc")).unwrap();
        let passwd = "root:x:0:0::/:\nwww-data:x:33:34::/:\n";
        std::fs::write(folder.path().join("etc/passwd"), passwd).unwrap();
        std::fs::write(folder.path().join("etc/group"), "staff:x:50:\n").unwrap();
        let root = Root::open(folder.path()).unwrap();
        for (text, uid, gid, unknown) in [
            ("7", 7, 7, false),
            ("7:8", 7, 8, false),
            ("-1", 0, 0, false),
            ("www-data", 33, 34, false),
            ("www-data:staff", 33, 50, false),
            ("www-data:", 33, 0, false),
            ("root", 0, 0, false),
            ("2147483648", 0, 0, true),
            (":staff", 0, 50, false),
            ("nosuch", 0, 0, true),
            ("7:nosuch", 7, 7, true),
            ("www-data:nosuch", 33, 34, true),
            ("nosuch:nosuch", 0, 0, true),
            ("nosuch:7", 0, 7, true),
        ] {
            let lookup = look_up(&root, text);
            assert_eq!((lookup.owner.uid, lookup.owner.gid), (uid, gid), "{text}");
            assert_eq!(lookup.unknown, unknown, "{text}");
        }
        let empty = tempfile::tempdir().unwrap();
        assert!(look_up(&Root::open(empty.path()).unwrap(), "www-data").unknown);
    }
}
