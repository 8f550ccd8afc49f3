//! Who the process is: `USER` against the image's `/etc/passwd` and `/etc/group`.
//!
//! The rules are those of Docker: a number is always a number, even if a user is called so; a
//! number that is not listed is taken as it is, with group 0; other groups are only those that
//! list the user by name, and none if a group is given.

use std::io;
use std::io::Read;
use std::path::Path;

use crate::sandbox::inside::report::Problem;
use crate::sys::Error;
use crate::sys::Owner;
use crate::sys::Root;

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Identity {
    /// The user and the primary group.
    pub(super) owner: Owner,
    /// All groups, the primary one first.
    pub(super) groups: Vec<u32>,
    /// The home directory.
    pub(in crate::sandbox) home: String,
}

/// The longest `/etc/passwd` or `/etc/group` that is read.
const FILE_MAX: u64 = 16 << 20;

/// Finds out who `user` is in a root file system.
pub(super) fn resolve(root: &Root, user: &str) -> Result<Identity, Problem> {
    let passwd = read(root, "/etc/passwd")?;
    let group = read(root, "/etc/group")?;
    identify(user, &passwd, &group)
}

/// Reads a file; one that is not there, or a device or pipe in its place, is empty.
fn read(root: &Root, path: &str) -> Result<String, Problem> {
    let file = match root.open_file(Path::new(path)) {
        Err(error) if error.is_not_found() => return Ok(String::new()),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotADirectory | io::ErrorKind::Unsupported
            ) =>
        {
            return Ok(String::new());
        }
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(FILE_MAX)
        .read_to_end(&mut bytes)
        .map_err(|source| Error::new(format!("read({path:?})"), source))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn identify(spec: &str, passwd: &str, group: &str) -> Result<Identity, Problem> {
    let (user, group_name) = spec.split_once(':').unwrap_or((spec, ""));
    let user = if user.is_empty() { "0" } else { user };
    let number = number(user);
    let entry = passwd
        .lines()
        .filter_map(Entry::parse)
        .find(|entry| match number {
            Some(uid) => entry.uid == uid,
            None => entry.name == user,
        });
    let uid = match (&entry, number) {
        (Some(entry), _) => entry.uid,
        (None, Some(uid)) => uid,
        (None, None) => {
            return Err(Problem::UnknownUser {
                user: user.to_owned(),
            });
        }
    };
    let (gid, others) = match (&entry, group_name) {
        (Some(entry), "") => (entry.gid, groups_of(entry.name, group)),
        (None, "") => (0, Vec::new()),
        (_, name) => (find_group(name, group)?, Vec::new()),
    };
    let mut groups = vec![gid];
    groups.extend(others.into_iter().filter(|other| *other != gid));
    // The home directory goes by the number: two users may share one.
    let home = passwd
        .lines()
        .filter_map(Entry::parse)
        .find(|entry| entry.uid == uid);
    let home = home
        .map(|entry| entry.home)
        .filter(|home| !home.is_empty())
        .unwrap_or("/");
    Ok(Identity {
        owner: Owner { uid, gid },
        groups,
        home: home.to_owned(),
    })
}

/// A line of `/etc/passwd`.
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Entry<'a>> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.trim().parse().ok()?;
        let gid = fields
            .next()
            .and_then(|gid| gid.trim().parse().ok())
            .unwrap_or(0);
        let home = fields.nth(1).unwrap_or_default();
        Some(Entry {
            name,
            uid,
            gid,
            home,
        })
    }
}

/// The name, number and members of each group.
fn groups(text: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let name = fields
            .next()
            .filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        let gid = fields.nth(1)?.trim().parse().ok()?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

fn groups_of(user: &str, text: &str) -> Vec<u32> {
    groups(text)
        .filter(|(_, _, members)| members.split(',').any(|member| member.trim() == user))
        .map(|(_, gid, _)| gid)
        .collect()
}

fn find_group(name: &str, text: &str) -> Result<u32, Problem> {
    if let Some(gid) = number(name) {
        return Ok(gid);
    }
    let found = groups(text).find(|(known, _, _)| *known == name);
    let unknown = || Problem::UnknownGroup {
        group: name.to_owned(),
    };
    found.map(|(_, gid, _)| gid).ok_or_else(unknown)
}

/// A user's or group's number; the kernel keeps the highest half for itself.
fn number(text: &str) -> Option<u32> {
    text.parse::<u32>()
        .ok()
        .filter(|number| *number <= i32::MAX.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\n\
        www:x:33:34:www:/var/www:/bin/false\n7:x:70:70::/seven:\nhomeless:x:5:5:::\n";
    const GROUP: &str =
        "root:x:0:\nwheel:x:10:root,www\nwww:x:34:\nextra:x:40:other,www\n9:x:90:\n";

    fn identity(spec: &str) -> (u32, u32, Vec<u32>, String) {
        let found = identify(spec, PASSWD, GROUP).unwrap();
        (found.owner.uid, found.owner.gid, found.groups, found.home)
    }

    #[test]
    fn names_and_numbers_are_found() {
        let www = (33, 34, vec![34, 10, 40], "/var/www".to_owned());
        assert_eq!(identity("www"), www);
        assert_eq!(identity("33"), www);
        assert_eq!(identity(""), (0, 0, vec![0, 10], "/root".to_owned()));
    }

    #[test]
    fn a_group_replaces_all_groups() {
        assert_eq!(
            identity("www:extra"),
            (33, 40, vec![40], "/var/www".to_owned())
        );
        assert_eq!(
            identity("www:99"),
            (33, 99, vec![99], "/var/www".to_owned())
        );
        assert_eq!(identity(":extra"), (0, 40, vec![40], "/root".to_owned()));
        assert_eq!(identity("33:34"), (33, 34, vec![34], "/var/www".to_owned()));
    }

    #[test]
    fn a_number_is_a_number_even_if_a_name_looks_like_it() {
        assert_eq!(identity("7"), (7, 0, vec![0], "/".to_owned()));
        assert_eq!(identity("7:9"), (7, 9, vec![9], "/".to_owned()));
    }

    #[test]
    fn an_empty_home_is_the_root_directory() {
        assert_eq!(identity("homeless").3, "/");
    }

    #[test]
    fn unknown_names_are_refused() {
        let refused = |spec| format!("{:?}", identify(spec, PASSWD, GROUP).unwrap_err());
        assert!(refused("nobody").contains("UnknownUser"));
        assert!(refused("www:none").contains("UnknownGroup"));
        assert!(refused("4294967295").contains("UnknownUser"));
    }

    #[test]
    fn an_image_without_files_has_numbers_only() {
        assert_eq!(identify("", "", "").unwrap().home, "/");
        assert_eq!(
            identify("5", "", "").unwrap().owner,
            Owner { uid: 5, gid: 0 }
        );
        identify("root", "", "").unwrap_err();
    }
}
