//! `RUN [flags] <command>`.

use crate::dockerfile::Error;
use crate::dockerfile::MountError;
use crate::dockerfile::Problem;
use crate::dockerfile::Word;
use crate::dockerfile::instruction::arguments::Arguments;
use crate::dockerfile::instruction::command::Command;
use crate::dockerfile::instruction::csv;
use crate::dockerfile::instruction::flags::Flags;
use crate::dockerfile::instruction::flags::Takes;
use crate::dockerfile::instruction::heredoc::Heredoc;
use crate::dockerfile::instruction::mount;

/// `RUN`: runs a command while building.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The command.
    pub command: Command,
    /// The here-documents its line names, in order.
    pub heredocs: Vec<Heredoc>,
    /// The values of `--mount` as written; `MountOptions::parse` expands and reads one.
    pub mounts: Vec<Word>,
    /// `--network`.
    pub network: Network,
    /// `--security`.
    pub security: Security,
    /// `--device`.
    pub devices: Vec<Device>,
}

/// The network of a `RUN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are the Dockerfile's")]
pub enum Network {
    #[default]
    Default,
    None,
    Host,
}

/// The privileges of a `RUN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are the Dockerfile's")]
pub enum Security {
    #[default]
    Sandbox,
    Insecure,
}

/// A device a `RUN` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its CDI name.
    pub name: String,
    /// Whether the build fails without it.
    pub required: bool,
}

const FLAGS: [(&str, Takes); 4] = [
    ("mount", Takes::Values),
    ("network", Takes::Value),
    ("security", Takes::Value),
    ("device", Takes::Values),
];

impl Run {
    pub(super) fn parse(arguments: &mut Arguments<'_>) -> Result<Self, Error> {
        let mut flags = arguments.flags(&FLAGS)?;
        let command = Command::parse(arguments, "RUN <command>")?;
        let mounts = flags.values("mount");
        for word in &mounts {
            mount::check(&word.text).map_err(|cause| {
                let text = word.text.clone();
                Error::new(word.span, Problem::Mount { text, cause })
            })?;
        }
        let devices = flags
            .values("device")
            .iter()
            .map(device)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            command,
            mounts,
            network: Network::of(&mut flags)?,
            security: Security::of(&mut flags)?,
            devices,
            heredocs: std::mem::take(&mut arguments.heredocs),
        })
    }
}

impl Network {
    fn of(flags: &mut Flags) -> Result<Self, Error> {
        let Some(word) = flags.value("network") else {
            return Ok(Self::default());
        };
        match word.text.as_str() {
            "default" => Ok(Self::Default),
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            _ => Err(bad_value("network", word, "`default`, `none` or `host`")),
        }
    }

    /// Its name in the Dockerfile.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::None => "none",
            Self::Host => "host",
        }
    }
}

impl Security {
    fn of(flags: &mut Flags) -> Result<Self, Error> {
        let Some(word) = flags.value("security") else {
            return Ok(Self::default());
        };
        match word.text.as_str() {
            "sandbox" => Ok(Self::Sandbox),
            "insecure" => Ok(Self::Insecure),
            _ => Err(bad_value("security", word, "`sandbox` or `insecure`")),
        }
    }

    /// Its name in the Dockerfile.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Insecure => "insecure",
        }
    }
}

fn bad_value(name: &'static str, word: Word, expected: &'static str) -> Error {
    Error::new(
        word.span,
        Problem::FlagValue {
            name,
            found: word.text,
            expected,
        },
    )
}

/// A device: `<name>[,required]`, or `name=<name>,required=<bool>`.
fn device(word: &Word) -> Result<Device, Error> {
    let bad = || bad_value("device", word.clone(), "`<name>` or `<name>,required`");
    let fields = csv::fields(&word.text).map_err(|_: MountError| bad())?;
    let mut device = Device {
        name: String::new(),
        required: false,
    };
    for field in fields {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        match (key.as_str(), value) {
            ("required", None) => device.required = true,
            ("required", Some(value)) => device.required = csv::boolean(value).ok_or_else(bad)?,
            ("name", Some(value)) if device.name.is_empty() => value.clone_into(&mut device.name),
            ("name", Some(_)) => return Err(bad()),
            _ if device.name.is_empty() => device.name = field,
            _ => return Err(bad()),
        }
    }
    Ok(device)
}
