//! Limits: `--ulimit`, `--memory`, `--cpus` and their like.

use crate::dockerfile::nearest;
use crate::graph::Ulimit;
use crate::sandbox::Processes;

const NAMES: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Reads `NAME=SOFT[:HARD]`, with -1 for unlimited.
pub(in crate::cli) fn ulimit(text: &str) -> Result<Ulimit, String> {
    let (name, values) = text
        .split_once('=')
        .ok_or("expected NAME=SOFT[:HARD], for example nofile=1024:4096")?;
    if !NAMES.contains(&name) {
        let known = NAMES.join(", ");
        return Err(match nearest(name, &NAMES) {
            Some(meant) => format!("no limit is called {name:?}, did you mean {meant:?}?"),
            None => format!("no limit is called {name:?}, known are {known}"),
        });
    }
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (number(soft)?, number(hard)?);
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(format!(
            "the soft limit {soft} is above the hard limit {hard}"
        ));
    }
    Ok(Ulimit {
        name: name.to_owned(),
        soft,
        hard,
    })
}

/// What docker refuses to go below: no program starts with less.
const MEMORY_MIN_BYTES: u64 = 6 << 20;

/// Reads `--memory`.
pub(in crate::cli) fn memory(text: &str) -> Result<u64, String> {
    match super::size::bytes(text)? {
        bytes if bytes < MEMORY_MIN_BYTES => Err("expected at least 6m".to_owned()),
        bytes => Ok(bytes),
    }
}

/// Reads `--memory-swap`, with -1 for all there is.
pub(in crate::cli) fn size_or_all(text: &str) -> Result<u64, String> {
    match text {
        "-1" => Ok(u64::MAX),
        _ => super::size::bytes(text),
    }
}

/// Reads `--cpus` and gives it in microseconds of each tenth of a second.
pub(in crate::cli) fn cpus(text: &str) -> Result<u64, String> {
    let wrong = || "expected a number such as 2 or 1.5, from 0.01 on".to_owned();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > 5 {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let fraction: u64 = format!("{fraction:0<5}").parse().map_err(|_| wrong())?;
    let quota = whole
        .checked_mul(100_000)
        .and_then(|all| all.checked_add(fraction));
    quota.filter(|quota| *quota >= 1000).ok_or_else(wrong)
}

/// Reads `--cpuset-cpus`, for the kernel to understand.
pub(in crate::cli) fn cpu_list(text: &str) -> Result<String, String> {
    let number = |part: &str| part.parse::<u16>().ok();
    let is_range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        number(first)
            .zip(number(last))
            .is_some_and(|(first, last)| first <= last)
    };
    match text.split(',').all(is_range) {
        true => Ok(text.to_owned()),
        false => Err("expected numbers and ranges, as in 0-2,4".to_owned()),
    }
}

/// Reads `--pids-limit`, with -1 for as many as there can be.
pub(in crate::cli) fn processes(text: &str) -> Result<Processes, String> {
    match text.parse::<i64>() {
        Ok(-1 | 0) => Ok(Processes::Unlimited),
        Ok(count) => u64::try_from(count)
            .map(Processes::AtMost)
            .map_err(|_| "expected a number, or -1 for no limit".to_owned()),
        Err(_) => Err("expected a number, or -1 for no limit".to_owned()),
    }
}

fn number(text: &str) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(number) if number >= -1 => Ok(number),
        _ => Err(format!(
            "{text:?} is no limit: a number, or -1 for unlimited"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_microseconds() {
        assert_eq!(cpus("1.5"), Ok(150_000));
        assert_eq!(cpus("2"), Ok(200_000));
        assert_eq!(cpus("0.01"), Ok(1000));
        for text in [
            "",
            "0",
            "0.001",
            "-1",
            "1.",
            ".5",
            "1e3",
            "x",
            "99999999999999999999",
        ] {
            assert!(cpus(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn other_limits_are_dockers() {
        assert_eq!(memory("64m"), Ok(64 << 20));
        assert!(memory("5m").is_err());
        assert_eq!(size_or_all("-1"), Ok(u64::MAX));
        assert_eq!(processes("-1"), Ok(Processes::Unlimited));
        assert_eq!(processes("100"), Ok(Processes::AtMost(100)));
        assert!(processes("-2").is_err() && processes("many").is_err());
        assert_eq!(cpu_list("0-2,4").as_deref(), Ok("0-2,4"));
        for text in ["", "a", "0-", "-1", "1,,2", "0-1-2", "2-1"] {
            assert!(cpu_list(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn one_number_is_both() {
        let limit = ulimit("nofile=1024").unwrap();
        assert_eq!((limit.soft, limit.hard), (1024, 1024));
        let limit = ulimit("nofile=1024:-1").unwrap();
        assert_eq!((limit.soft, limit.hard), (1024, -1));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for text in [
            "nofile",
            "nofiles=1",
            "nofile=x",
            "nofile=2:1",
            "nofile=-1:5",
            "nofile=-2",
        ] {
            assert!(ulimit(text).is_err(), "{text:?} was accepted");
        }
        assert!(ulimit("nfile=1").unwrap_err().contains("nofile"));
    }
}
