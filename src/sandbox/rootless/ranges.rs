//! Which numbers a user may give to the users of his own: `/etc/subuid` and `/etc/subgid`.

use std::path::PathBuf;

use crate::sandbox::program;

/// A row of a user namespace's map: the first number inside, the first outside, how many.
pub(super) type Row = (u32, u32, u32);

/// Makes the map of a user: he is root inside, and the ranges that the file gives him follow.
/// Nothing if it gives him none.
pub(super) fn map(file: &str, name: Option<&str>, number: u32, own: u32) -> Option<Vec<Row>> {
    let mut rows = vec![(0, own, 1)];
    let mut next: u32 = 1;
    for line in file.lines() {
        let Some((start, count)) = range(line, name, number) else {
            continue;
        };
        let count = count.min(u32::MAX - next);
        if count > 0 {
            rows.push((next, start, count));
            next += count;
        }
    }
    (rows.len() > 1).then_some(rows)
}

/// Gives the first number behind all ranges of a file.
pub(super) fn end(file: &str) -> u32 {
    let end = |line: &str| {
        let mut fields = line.trim().split(':').skip(1);
        let start: u32 = fields.next()?.parse().ok()?;
        start.checked_add(fields.next()?.parse().ok()?)
    };
    file.lines().filter_map(end).max().unwrap_or(0)
}

fn range(line: &str, name: Option<&str>, number: u32) -> Option<(u32, u32)> {
    let mut fields = line.trim().split(':');
    let who = fields.next()?;
    let is_his = Some(who) == name || who.parse() == Ok(number);
    let (start, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    is_his.then_some((start, count))
}

/// Finds the name of a user in `/etc/passwd`.
pub(super) fn name_of(passwd: &str, number: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then_some(name)
    })
}

/// Finds the programs that map ranges of users and of groups.
pub(super) fn mapping_programs() -> Option<(PathBuf, PathBuf)> {
    program::find_here("newuidmap").zip(program::find_here("newgidmap"))
}

#[cfg(test)]
mod tests {
    use super::end;
    use super::map;
    use super::name_of;

    #[test]
    fn a_user_is_root_and_his_ranges_follow() {
        let file = "bob:100000:65536\nann:165536:65536\n1000:400000:10\nbroken\nann:x:1\n";
        let rows = |name, number| map(file, name, number, 1000);
        assert_eq!(
            rows(Some("ann"), 1000),
            Some(vec![
                (0, 1000, 1),
                (1, 165_536, 65536),
                (65537, 400_000, 10)
            ])
        );
        assert_eq!(
            rows(Some("bob"), 7),
            Some(vec![(0, 1000, 1), (1, 100_000, 65536)])
        );
        assert_eq!(end(file), 400_010);
        assert_eq!(end("broken\n"), 0);
        assert_eq!(rows(None, 5), None);
        assert_eq!(rows(Some("eve"), 5), None);
    }

    #[test]
    fn a_name_is_found_by_its_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(name_of(passwd, 1000), Some("ann"));
        assert_eq!(name_of(passwd, 1), None);
    }
}
