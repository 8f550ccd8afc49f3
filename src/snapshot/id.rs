//! Names of snapshots.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;

use crate::snapshot::Error;
use crate::snapshot::Result;
use crate::snapshot::error::on_tree;
use crate::sys;

/// The name of a change set on disk: of a pulled layer its diff id's digits, else random ones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotId(String);

const LENGTH_MAX: usize = 128;

impl SnapshotId {
    /// Takes a name of up to 128 lower-case letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// [`Error::Id`] for anything else: a name becomes a file name.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        if text.is_empty() || text.len() > LENGTH_MAX || !text.bytes().all(allowed) {
            return Err(Error::Id { text });
        }
        Ok(Self(text))
    }

    /// Makes a name that no other snapshot has.
    pub(super) fn random() -> Result<Self> {
        let bytes = sys::random::bytes().map_err(on_tree("/dev/urandom"))?;
        Ok(Self(
            bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        ))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for SnapshotId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl TryFrom<String> for SnapshotId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

impl From<SnapshotId> for String {
    fn from(id: SnapshotId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::SnapshotId;

    #[test]
    fn a_name_is_a_plain_file_name() {
        for text in ["a", "0f", &"e".repeat(128), "a-b_c"] {
            assert_eq!(SnapshotId::new(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            ".",
            "..",
            ".tmp-1",
            "a/b",
            "A",
            "a b",
            "ä",
            &"e".repeat(129),
        ] {
            assert!(SnapshotId::new(text).is_err(), "{text}");
        }
        assert_ne!(SnapshotId::random().unwrap(), SnapshotId::random().unwrap());
    }
}
