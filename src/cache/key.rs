//! Names of work and of content; pure.
//!
//! The text that is hashed is a specification: [`KEY_VERSION`], a word for what is named, then
//! values in the canonical form of [`Value`]. A change of what an op means, or of this text, must
//! raise [`KEY_VERSION`], so that no older record is taken for an answer.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::graph::Op;
use crate::graph::Value;
use crate::snapshot::SnapshotId;

/// The version of what keys mean; a part of every key.
pub const KEY_VERSION: i64 = 1;

/// How long a value in a [`Component`] may be before its digest stands for it.
const LONGEST_VALUE: usize = 400;

/// Names a piece of work, or the root filesystem that work made, by all that decides it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// Names the work of doing `op`, given how each of its inputs counts.
    #[must_use]
    pub fn of_op(op: &Op, inputs: &[InputKey]) -> Self {
        let mut text = Vec::with_capacity(1024);
        for (name, value) in op.fields() {
            encode_text(name, &mut text);
            value.encode(&mut text);
        }
        for input in inputs {
            input.encode(&mut text);
        }
        Self::of_text("op", &text)
    }

    /// Names the root filesystem that comes of a change set with `content` on the root named
    /// `base`, whatever work made it.
    #[must_use]
    pub fn of_result(base: &Self, content: &ContentDigest) -> Self {
        Self::of_text("result", &[base.0, content.0].concat())
    }

    /// Names the root filesystem that comes of `change_set` on the root named `base`, where
    /// nothing is known of its content.
    #[must_use]
    pub fn of_change_set(base: &Self, change_set: &SnapshotId) -> Self {
        let mut text = base.0.to_vec();
        encode_text(change_set.as_str(), &mut text);
        Self::of_text("change set", &text)
    }

    fn of_text(what: &str, text: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"rbuild key\0");
        hasher.update(&KEY_VERSION.to_le_bytes());
        hasher.update(what.as_bytes());
        hasher.update(b"\0");
        hasher.update(text);
        Self(hasher.finalize().into())
    }

    /// Gives the 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// Reads 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        bytes_from_hex(hex).map(Self)
    }
}

/// The digest of file content, alone or of many files together with their names and modes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentDigest([u8; 32]);

impl ContentDigest {
    /// Digests `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).into())
    }

    /// Takes the digest's own 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Gives the digest's own 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Gives the 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// Reads 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        bytes_from_hex(hex).map(Self)
    }
}

/// Digests content as it passes.
#[derive(Clone, Debug, Default)]
pub struct ContentHasher(blake3::Hasher);

impl ContentHasher {
    /// Starts with no bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Takes a value preceded by its length, so that values cannot run into each other.
    pub fn update_sized(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Gives the digest of all bytes taken.
    #[must_use]
    pub fn finish(&self) -> ContentDigest {
        ContentDigest(self.0.finalize().into())
    }
}

/// How an input counts in the key of the work that needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputKey {
    /// Not at all: the result is the same whatever it is.
    Nothing,
    /// By what it is: the work that makes it, or the root filesystem that came of it.
    Key(CacheKey),
    /// By what is read of it.
    Content(ContentDigest),
}

impl InputKey {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nothing => out.push(b'-'),
            Self::Key(key) => {
                out.push(b'k');
                out.extend_from_slice(&key.0);
            }
            Self::Content(digest) => {
                out.push(b'c');
                out.extend_from_slice(&digest.0);
            }
        }
    }
}

/// A named part of a key, in words: two lists of them show why one key is not the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// What it is: `args`, `env`, `input 1`.
    pub name: String,
    /// Its value; where that is long, its beginning and its digest.
    pub value: String,
}

/// Gives the parts of the key that [`CacheKey::of_op`] makes.
#[must_use]
pub fn components(op: &Op, inputs: &[InputKey]) -> Vec<Component> {
    let fields = op.fields().into_iter();
    let fields = fields.filter(|(_, value)| !is_empty(value));
    let fields = fields.map(|(name, value)| Component {
        name: name.to_owned(),
        value: clip(without_secrets(name, value.to_string())),
    });
    let inputs = inputs.iter().enumerate();
    let inputs = inputs.map(|(position, input)| Component {
        name: format!("input {position}"),
        value: match input {
            InputKey::Nothing => "-".to_owned(),
            InputKey::Key(key) => format!("key {key}"),
            InputKey::Content(digest) => format!("content {digest}"),
        },
    });
    fields.chain(inputs).collect()
}

fn is_empty(value: &Value<'_>) -> bool {
    match value {
        Value::Nothing => true,
        Value::Text(text) => text.is_empty(),
        Value::List(values) => values.is_empty(),
        Value::Number(_) => false,
    }
}

/// Components are kept. Of an address in which a signature may stand, the digest is enough to tell
/// it from others.
fn without_secrets(name: &str, value: String) -> String {
    match name {
        "url" if value.contains('?') => ContentDigest::of(value.as_bytes()).hex(),
        _ => value,
    }
}

fn clip(value: String) -> String {
    if value.len() <= LONGEST_VALUE {
        return value;
    }
    let end = value.floor_char_boundary(LONGEST_VALUE / 2);
    format!("{}… {}", &value[..end], ContentDigest::of(value.as_bytes()))
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    Value::Text(text.into()).encode(out);
}

fn bytes_from_hex(hex: &str) -> Option<[u8; 32]> {
    let is_lower = hex.bytes().all(|digit| !digit.is_ascii_uppercase());
    let hash = blake3::Hash::from_hex(hex).ok()?;
    is_lower.then(|| hash.into())
}

/// Gives the two names of 32 bytes the same text form.
macro_rules! hex_text {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.hex()
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::from_hex(&text).ok_or(concat!("not a ", $what))
            }
        }
    };
}

hex_text!(CacheKey, "cache key");
hex_text!(ContentDigest, "content digest");

#[cfg(test)]
mod tests;
