//! What a piece of work left behind.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::cache::CacheKey;
use crate::cache::Component;
use crate::cache::ContentDigest;

/// Names a change set: what an op did to a root filesystem.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeSetId(String);

impl ChangeSetId {
    /// Takes a name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Gives the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChangeSetId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for ChangeSetId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What a piece of work left behind, and upon what it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What it did to its root filesystem; for a download, the directory it made.
    pub change_set: ChangeSetId,
    /// The digest of what the change set holds, times left out; none if it is not known.
    pub content: Option<ContentDigest>,
    /// The root filesystem the change set was made upon; none if it is the same upon any. The
    /// change set fits no other: a command may have read anything there.
    pub base: Option<CacheKey>,
    /// The parts of the key the work was first done under.
    pub components: Vec<Component>,
    /// What whoever did the work wants to remember, by name: an `ETag`, a commit.
    pub facts: Vec<(String, String)>,
}
