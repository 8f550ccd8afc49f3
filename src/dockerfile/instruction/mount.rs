//! The value of `RUN --mount`.

use crate::dockerfile::ExpandError;
use crate::dockerfile::MountError;
use crate::dockerfile::instruction::csv;
use crate::dockerfile::instruction::size;
use crate::dockerfile::nearest::nearest;

/// What a `RUN --mount` says, after expansion. `None` and the empty string mean not given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MountOptions {
    /// `type`; `bind` when not given.
    pub kind: MountKind,
    /// `from`: a stage, an image or a named context.
    pub from: String,
    /// `source` or `src`.
    pub source: String,
    /// `target`, `dst` or `destination`.
    pub target: String,
    /// `readonly`, `ro`, or the opposite of `rw`; the default of the type when not given.
    pub readonly: bool,
    /// `size` of a tmpfs, in bytes; 0 when not given.
    pub size_bytes: i64,
    /// `id`.
    pub id: String,
    /// `sharing` of a cache.
    pub sharing: Option<Sharing>,
    /// `required` of a secret or an ssh agent.
    pub required: bool,
    /// `env` of a secret: the variable that receives its value.
    pub env: Option<String>,
    /// `mode`.
    pub mode: Option<u32>,
    /// `uid`.
    pub uid: Option<u32>,
    /// `gid`.
    pub gid: Option<u32>,
}

/// The `type` of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are the Dockerfile's")]
pub enum MountKind {
    #[default]
    Bind,
    Cache,
    Tmpfs,
    Secret,
    Ssh,
}

/// How a cache mount is shared between instructions that run at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the Dockerfile's")]
pub enum Sharing {
    Shared,
    Private,
    Locked,
}

/// Checks what can be checked before variables are expanded.
pub(super) fn check(text: &str) -> Result<(), MountError> {
    for field in csv::fields(text)? {
        if let Some((key, value)) = field.split_once('=') {
            let variable = value
                .split_once('$')
                .is_some_and(|(_, behind)| !behind.is_empty());
            if key.eq_ignore_ascii_case("from") && variable {
                return Err(MountError::FromVariable);
            }
        }
    }
    Ok(())
}

impl MountOptions {
    /// Gives what `from` names, which is known without variables.
    pub(in crate::dockerfile) fn source_stage(text: &str) -> Option<String> {
        let fields = csv::fields(text).ok()?;
        let mut values = fields.iter().filter_map(|field| {
            let (key, value) = field.split_once('=')?;
            key.eq_ignore_ascii_case("from").then_some(value)
        });
        let last = values.next_back()?;
        (!last.is_empty()).then(|| last.to_owned())
    }

    /// Reads the value of a `--mount`, expanding the value of each option.
    ///
    /// # Errors
    ///
    /// The first option that does not fit.
    pub fn parse(
        text: &str,
        expand: &dyn Fn(&str) -> Result<String, ExpandError>,
    ) -> Result<Self, MountError> {
        let mut options = Self::default();
        let mut readonly = None;
        for field in csv::fields(text)? {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_lowercase(), Some(value)),
                None => (field.to_lowercase(), None),
            };
            let value = match value.map(expand).transpose() {
                Ok(value) => value,
                Err(cause) => return Err(MountError::Expand { key, cause }),
            };
            match key.as_str() {
                "readonly" | "ro" => readonly = Some(switch(key, value)?),
                "readwrite" | "rw" => readonly = Some(!switch(key, value)?),
                "required" => {
                    options.only_for("required", &[MountKind::Secret, MountKind::Ssh])?;
                    options.required = switch(key, value)?;
                }
                _ => match value {
                    Some(value) => options.set(key, value)?,
                    None => return Err(MountError::WithoutValue { key }),
                },
            }
        }
        let writable = matches!(options.kind, MountKind::Cache | MountKind::Tmpfs);
        options.readonly = readonly.unwrap_or(!writable);
        options.validate()?;
        Ok(options)
    }

    fn set(&mut self, key: String, value: String) -> Result<(), MountError> {
        match key.as_str() {
            "type" => self.kind = named(key, value, &KINDS)?,
            "from" => self.from = value,
            "source" | "src" => self.source = value,
            "target" | "dst" | "destination" => self.target = value,
            "size" => {
                self.only_for("size", &[MountKind::Tmpfs])?;
                self.size_bytes = number(key, value, size::parse)?;
            }
            "id" => self.id = value,
            "sharing" => self.sharing = Some(named(key, value, &SHARING)?),
            "mode" => self.mode = Some(number(key, value, |text| unsigned(text, 8))?),
            "uid" => self.uid = Some(number(key, value, |text| unsigned(text, 10))?),
            "gid" => self.gid = Some(number(key, value, |text| unsigned(text, 10))?),
            "env" => self.env = Some(value),
            _ => {
                let nearest = nearest(&key, &KEYS);
                return Err(MountError::UnknownKey { key, nearest });
            }
        }
        Ok(())
    }

    fn only_for(&self, key: &'static str, kinds: &[MountKind]) -> Result<(), MountError> {
        if kinds.contains(&self.kind) {
            return Ok(());
        }
        Err(MountError::KeyOfOtherKind {
            key,
            kind: self.kind.name(),
        })
    }

    fn validate(&self) -> Result<(), MountError> {
        let owned = [MountKind::Secret, MountKind::Ssh, MountKind::Cache];
        let given = [
            ("mode", self.mode.is_some(), owned.as_slice()),
            ("uid", self.uid.is_some(), owned.as_slice()),
            ("gid", self.gid.is_some(), owned.as_slice()),
            ("sharing", self.sharing.is_some(), &[MountKind::Cache]),
        ];
        for (key, given, kinds) in given {
            if given {
                self.only_for(key, kinds)?;
            }
        }
        if self.kind != MountKind::Secret {
            return Ok(());
        }
        if !self.from.is_empty() {
            return Err(MountError::KeyOfOtherKind {
                key: "from",
                kind: "secret",
            });
        }
        match (self.source.as_str(), self.target.as_str(), self.id.as_str()) {
            ("", "", "") => Err(MountError::SecretUnnamed),
            (source, _, id) if !source.is_empty() && !id.is_empty() => {
                Err(MountError::SecretNamedTwice)
            }
            _ => Ok(()),
        }
    }
}

const KINDS: [(&str, MountKind); 5] = [
    ("bind", MountKind::Bind),
    ("cache", MountKind::Cache),
    ("tmpfs", MountKind::Tmpfs),
    ("secret", MountKind::Secret),
    ("ssh", MountKind::Ssh),
];

const SHARING: [(&str, Sharing); 3] = [
    ("shared", Sharing::Shared),
    ("private", Sharing::Private),
    ("locked", Sharing::Locked),
];

const KEYS: [&str; 19] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
];

impl MountKind {
    /// Its name in the Dockerfile.
    #[must_use]
    pub fn name(self) -> &'static str {
        KINDS[self as usize].0
    }
}

impl Sharing {
    /// Its name in the Dockerfile.
    #[must_use]
    pub fn name(self) -> &'static str {
        SHARING[self as usize].0
    }
}

/// An option that is on when it has no value.
fn switch(key: String, value: Option<String>) -> Result<bool, MountError> {
    match value {
        None => Ok(true),
        Some(value) => number(key, value, csv::boolean),
    }
}

/// A value that is one of a few names, in whatever case.
fn named<T: std::marker::Copy>(
    key: String,
    value: String,
    names: &[(&'static str, T)],
) -> Result<T, MountError> {
    let lower = value.to_lowercase();
    let found = names.iter().find(|(name, _)| *name == lower);
    found.map(|(_, named)| *named).ok_or_else(|| {
        let names: Vec<&'static str> = names.iter().map(|(name, _)| *name).collect();
        MountError::Value {
            nearest: nearest(&value, &names),
            key,
            found: value,
        }
    })
}

fn number<T>(
    key: String,
    value: String,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, MountError> {
    let parsed = parse(&value);
    parsed.ok_or(MountError::Value {
        key,
        found: value,
        nearest: None,
    })
}

fn unsigned(text: &str, radix: u32) -> Option<u32> {
    if text.starts_with('+') {
        return None;
    }
    u32::from_str_radix(text, radix).ok()
}
