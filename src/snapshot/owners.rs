//! Whose files can be, where a user namespace decides that: noted beside them, since a user who is
//! given other ranges of numbers later would take them for others'.

use std::fmt;

use crate::sys::id_map::IdMap;

/// Between users and groups.
const AND: &str = "groups\n";

/// The users and groups that files can be given to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Owners {
    users: IdMap,
    groups: IdMap,
}

impl Owners {
    /// Those that this process knows.
    pub(super) fn own() -> Owners {
        Owners {
            users: IdMap::own_users(),
            groups: IdMap::own_groups(),
        }
    }

    /// Reads what was noted; none where nothing was, as once it was not.
    pub(super) fn parse(text: &str) -> Option<Owners> {
        let (users, groups) = text.split_once(AND)?;
        Some(Owners {
            users: IdMap::parse(users),
            groups: IdMap::parse(groups),
        })
    }

    /// Tells whether all others are among them, and the same users and groups outside.
    pub(super) fn include(&self, others: &Owners) -> bool {
        self.users.includes(&others.users) && self.groups.includes(&others.groups)
    }
}

/// As it is noted.
impl fmt::Display for Owners {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{AND}{}", self.users, self.groups)
    }
}

#[cfg(test)]
mod tests {
    use super::Owners;

    #[test]
    fn what_is_noted_is_read_again() {
        let text = "0 1000 1\n1 100000 65536\ngroups\n0 1000 1\n";
        let noted = Owners::parse(text).unwrap();
        assert_eq!(noted.to_string(), text);
        let fewer = Owners::parse("0 1000 1\ngroups\n0 1000 1\n").unwrap();
        assert!(noted.include(&fewer) && !fewer.include(&noted));
        let others = Owners::parse("0 1000 1\ngroups\n0 1001 1\n").unwrap();
        assert!(!noted.include(&others));
        assert_eq!(Owners::parse(""), None);
        assert!(Owners::own().include(&Owners::own()));
    }
}
