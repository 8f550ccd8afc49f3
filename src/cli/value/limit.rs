//! `--ulimit`.

use crate::dockerfile::nearest;
use crate::graph::Ulimit;

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
    use super::ulimit;

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
