//! What a piece of work left behind.

use serde::Deserialize;
use serde::Serialize;

use crate::cache::CacheKey;
use crate::cache::Component;
use crate::cache::ContentDigest;
use crate::snapshot::SnapshotId;

/// What a piece of work left behind, and upon what it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What it did to its root filesystem; for a download, the directory it made.
    pub change_set: SnapshotId,
    /// The digest of what the change set holds, times left out; none if it is not known.
    pub content: Option<ContentDigest>,
    /// The digest of those times in it that the work itself gave to files, such as by `touch -d`;
    /// none if they are not known.
    #[serde(default)]
    pub times: Option<ContentDigest>,
    /// The root filesystem the change set was made upon; none if it is the same upon any. The
    /// change set fits no other: a command may have read anything there.
    pub base: Option<CacheKey>,
    /// The parts of the key the work was first done under.
    pub components: Vec<Component>,
    /// What whoever did the work wants to remember, by name: an `ETag`, a commit.
    pub facts: Vec<(String, String)>,
}
