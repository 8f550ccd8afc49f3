//! What the users and groups of a user namespace are outside of it
//! ([`user_namespaces(7)`](https://man7.org/linux/man-pages/man7/user_namespaces.7.html)).

use std::fmt;
use std::fs;

/// The users or the groups that a user namespace knows, in the rows of the kernel's form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMap {
    rows: Vec<Row>,
}

/// Numbers that follow one another both inside and outside; their ends may need one bit more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    inside: u64,
    outside: u64,
    count: u64,
}

impl IdMap {
    /// The users that this process's namespace knows; none if the kernel does not tell.
    pub fn own_users() -> IdMap {
        IdMap::read("/proc/self/uid_map")
    }

    /// The groups that it knows.
    pub fn own_groups() -> IdMap {
        IdMap::read("/proc/self/gid_map")
    }

    fn read(path: &str) -> IdMap {
        IdMap::parse(&fs::read_to_string(path).unwrap_or_default())
    }

    /// Reads rows as the kernel writes them; what is none does not count.
    pub fn parse(text: &str) -> IdMap {
        let rows = text.lines().filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse::<u32>);
            let mut next = || numbers.next()?.ok().map(u64::from);
            Some(Row {
                inside: next()?,
                outside: next()?,
                count: next()?,
            })
        });
        IdMap {
            rows: rows.collect(),
        }
    }

    /// Gives what a number is outside, if the namespace knows it.
    pub fn outside(&self, number: u32) -> Option<u32> {
        let number = u64::from(number);
        let outside = self.row_of(number)?.at(number);
        u32::try_from(outside).ok()
    }

    /// How many numbers the namespace knows.
    pub fn count(&self) -> u64 {
        self.rows.iter().map(|row| row.count).sum()
    }

    /// Tells whether all that another map knows is the same outside by this one.
    pub fn includes(&self, other: &IdMap) -> bool {
        other.rows.iter().all(|row| self.includes_row(*row))
    }

    /// A row may lie in several.
    fn includes_row(&self, mut row: Row) -> bool {
        while row.count > 0 {
            let Some(mine) = self.row_of(row.inside) else {
                return false;
            };
            if mine.at(row.inside) != row.outside {
                return false;
            }
            let common = row.count.min(mine.inside + mine.count - row.inside);
            row = Row {
                inside: row.inside + common,
                outside: row.outside + common,
                count: row.count - common,
            };
        }
        true
    }

    fn row_of(&self, number: u64) -> Option<Row> {
        let knows = |row: &&Row| (row.inside..row.inside + row.count).contains(&number);
        self.rows.iter().find(knows).copied()
    }
}

impl Row {
    /// What a number of it is outside.
    fn at(self, number: u64) -> u64 {
        self.outside + (number - self.inside)
    }
}

/// As the kernel writes it, a row to a line.
impl fmt::Display for IdMap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            writeln!(formatter, "{} {} {}", row.inside, row.outside, row.count)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::IdMap;

    #[test]
    fn numbers_are_found_outside() {
        let map = IdMap::parse("         0       1000          1\n1 100000 65536\nbroken\n");
        assert_eq!(map.to_string(), "0 1000 1\n1 100000 65536\n");
        assert_eq!(map.outside(0), Some(1000));
        assert_eq!(map.outside(65536), Some(165_535));
        assert_eq!(map.outside(65537), None);
        assert_eq!(map.count(), 65537);
        assert_eq!(IdMap::default().outside(0), None);
    }

    #[test]
    fn a_map_includes_what_means_the_same_by_it() {
        let wide = IdMap::parse("0 1000 1\n1 100000 10\n11 100010 10\n");
        for (text, is_included) in [
            ("", true),
            ("0 1000 1", true),
            ("0 1000 1\n1 100000 20", true),
            ("0 1000 1\n1 100000 21", false),
            ("0 1001 1", false),
            ("5 100004 2", true),
            ("5 100005 2", false),
            ("30 100029 1", false),
        ] {
            assert_eq!(wide.includes(&IdMap::parse(text)), is_included, "{text:?}");
        }
        assert!(!IdMap::default().includes(&wide));
    }
}
