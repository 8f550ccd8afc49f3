//! Lists of processors, as the kernel writes them: `0-2,4`.

use std::fs;

use crate::sandbox::Error;
use crate::sys::limit;

/// Gives the processors that a list names, if it is one.
pub(super) fn parse(list: &str) -> Option<Vec<usize>> {
    let mut all = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        all.extend(first.parse::<u16>().ok()?..=last.parse::<u16>().ok()?);
    }
    (!all.is_empty()).then(|| all.into_iter().map(usize::from).collect())
}

/// Gives those of the machine, of which this process may have to leave some alone.
pub(super) fn online() -> Vec<usize> {
    let list = fs::read_to_string("/sys/devices/system/cpu/online");
    let all = list.ok().and_then(|list| parse(list.trim_end()));
    all.unwrap_or_else(limit::processors)
}

/// Fails if a list names a processor that is not there.
pub(super) fn check(list: &str, there: &[usize]) -> Result<(), Error> {
    let asked = parse(list).unwrap_or_default();
    match asked.iter().find(|number| !there.contains(number)) {
        None => Ok(()),
        Some(number) => Err(Error::NoProcessor {
            number: *number,
            there: text(there),
        }),
    }
}

/// Writes a list of numbers that rise.
fn text(numbers: &[usize]) -> String {
    let ranges = numbers.chunk_by(|one, next| one + 1 == *next);
    let ranges = ranges.map(|range| match range {
        [first, .., last] => format!("{first}-{last}"),
        all => all.iter().map(usize::to_string).collect(),
    });
    ranges.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors_are_read_and_written() {
        assert_eq!(parse("0-2,4"), Some(vec![0, 1, 2, 4]));
        assert_eq!(parse("7"), Some(vec![7]));
        for list in ["", "2-1", "x", "1-", "70000"] {
            assert_eq!(parse(list), None, "{list}");
        }
        for list in ["0-2,4", "7", "0,2-3"] {
            assert_eq!(text(&parse(list).unwrap()), list);
        }
        assert_eq!(text(&[]), "");
    }

    #[test]
    fn a_processor_that_is_not_there_is_named_with_those_that_are() {
        let there = [0, 1, 2, 3, 6];
        assert!(check("0,2-3", &there).is_ok());
        let error = check("1-6", &there).unwrap_err().to_string();
        let told = "--cpuset-cpus: there is no processor 4 here (0-3,6)";
        assert_eq!(error, told);
        assert!(online().contains(&limit::processors()[0]));
    }
}
