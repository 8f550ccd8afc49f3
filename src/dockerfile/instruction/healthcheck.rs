//! `HEALTHCHECK NONE` and `HEALTHCHECK [flags] CMD <command>`.

use std::time::Duration;

use crate::dockerfile::Error;
use crate::dockerfile::Problem;
use crate::dockerfile::Word;
use crate::dockerfile::grammar::Rule;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::command::Command;
use crate::dockerfile::instruction::duration;
use crate::dockerfile::instruction::flags::Flags;
use crate::dockerfile::instruction::flags::Takes;

/// `HEALTHCHECK`: says how to test that a container still works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: takes back the check of the base image.
    None,
    /// `CMD`.
    Probe(Probe),
}

/// The test of a `HEALTHCHECK CMD`. Zero means the runtime's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The command; never empty.
    pub command: Command,
    /// `--interval`.
    pub interval: Duration,
    /// `--timeout`.
    pub timeout: Duration,
    /// `--start-period`.
    pub start_period: Duration,
    /// `--start-interval`.
    pub start_interval: Duration,
    /// `--retries`.
    pub retries: u32,
}

const FLAGS: [(&str, Takes); 5] = [
    ("interval", Takes::Value),
    ("timeout", Takes::Value),
    ("start-period", Takes::Value),
    ("start-interval", Takes::Value),
    ("retries", Takes::Value),
];

impl Healthcheck {
    pub(super) fn parse(arguments: &Arguments<'_>) -> Result<Self, Error> {
        let usage = "HEALTHCHECK NONE or HEALTHCHECK [flags] CMD <command>";
        let mut matched = arguments.matches(Rule::healthcheck, usage)?;
        let mut parts = matched
            .next()
            .map(pest::iterators::Pair::into_inner)
            .into_iter()
            .flatten();
        let kind = parts
            .next()
            .map(|pair| arguments.word(&pair))
            .unwrap_or_default();
        let command = Command::of(arguments, parts.next())?;
        let empty = match &command {
            Command::Shell(text) => text.is_none(),
            Command::Exec(words) => words.is_empty(),
        };
        match kind.text.to_ascii_uppercase().as_str() {
            // Flags beside NONE mean nothing and are let through, as other builders do.
            "NONE" if empty => Ok(Self::None),
            "CMD" if !empty => Probe::new(arguments, command).map(Self::Probe),
            "NONE" | "CMD" => Err(arguments.misfit(0, usage)),
            _ => Err(Error::new(
                kind.span,
                Problem::HealthcheckType { found: kind.text },
            )),
        }
    }
}

impl Probe {
    fn new(arguments: &Arguments<'_>, command: Command) -> Result<Self, Error> {
        let mut flags = arguments.flags(&FLAGS)?;
        Ok(Self {
            command,
            interval: duration(&mut flags, "interval")?,
            timeout: duration(&mut flags, "timeout")?,
            start_period: duration(&mut flags, "start-period")?,
            start_interval: duration(&mut flags, "start-interval")?,
            retries: retries(&mut flags)?,
        })
    }
}

/// The value of a flag, unless it is missing or empty.
fn value(flags: &mut Flags, name: &str) -> Option<Word> {
    flags.value(name).filter(|word| !word.text.is_empty())
}

fn duration(flags: &mut Flags, name: &'static str) -> Result<Duration, Error> {
    let Some(word) = value(flags, name) else {
        return Ok(Duration::ZERO);
    };
    match duration::parse(&word.text) {
        Some(duration) if duration.is_zero() || duration >= Duration::from_millis(1) => {
            Ok(duration)
        }
        _ => {
            let expected = "a duration like `1m30s`: 0, or 1ms at least";
            let problem = Problem::FlagValue {
                name,
                found: word.text,
                expected,
            };
            Err(Error::new(word.span, problem))
        }
    }
}

fn retries(flags: &mut Flags) -> Result<u32, Error> {
    let Some(word) = value(flags, "retries") else {
        return Ok(0);
    };
    let number = word
        .text
        .parse::<i32>()
        .ok()
        .and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| {
        let (name, expected) = ("retries", "a number, 0 or more");
        Error::new(
            word.span,
            Problem::FlagValue {
                name,
                found: word.text,
                expected,
            },
        )
    })
}
