//! How the inputs of a vertex count in its key.

use crate::cache::CacheKey;
use crate::cache::ContentDigest;
use crate::cache::InputKey;
use crate::graph::GitOp;
use crate::graph::Op;

/// What is known of a vertex before anything runs.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    /// The key by definition; none if what the vertex needs can be another thing at each build.
    pub(super) key: Option<CacheKey>,
    /// Whether the cache may not be asked by definition: the vertex, or one below it, has to be
    /// carried out in any case.
    pub(super) is_fresh: bool,
    /// The digest of what is read of each input that is a context, by position.
    pub(super) contexts: Vec<Option<ContentDigest>>,
}

/// Gives the key of what `op` makes without inputs, if it always makes the same.
pub(super) fn of_source(op: &Op) -> Option<CacheKey> {
    is_fixed(op).then(|| CacheKey::of_op(op, &[]))
}

/// Says whether an op without inputs always makes the same.
fn is_fixed(op: &Op) -> bool {
    match op {
        Op::Http(http) => http.checksum.is_some(),
        Op::Git(git) => names_commit(git),
        // What a context holds counts where it is read.
        Op::Context(_) => false,
        Op::Scratch | Op::Image(_) | Op::Exec(_) | Op::Copy(_) | Op::Mkdir(_) => true,
    }
}

fn names_commit(git: &GitOp) -> bool {
    let is_commit = |text: &String| {
        matches!(text.len(), 40 | 64) && text.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    git.checksum.as_ref().is_some_and(is_commit) || git.reference.as_ref().is_some_and(is_commit)
}

/// Says whether what `op` makes depends on the root filesystem it is made upon.
///
/// `COPY --link` makes the same change set on any, but for names of owners, which are looked up
/// there.
pub(super) fn reads_base(op: &Op) -> bool {
    match op {
        Op::Copy(copy) => copy.reads_base(),
        _ => op.changes_root(),
    }
}

/// Says whether the change set of `op` is made on an empty root, wherever it is laid then.
pub(super) fn is_linked(op: &Op) -> bool {
    matches!(op, Op::Copy(copy) if copy.link)
}

/// Gives how input `position` of `op` counts, being `key` as a whole, if `content` is what is
/// read of it; none if neither is known.
pub(super) fn of_input(
    op: &Op,
    position: usize,
    key: Option<CacheKey>,
    content: Option<ContentDigest>,
) -> Option<InputKey> {
    let is_base = position == 0 && op.changes_root();
    match content {
        _ if is_base && !reads_base(op) => Some(InputKey::Nothing),
        Some(digest) if !is_base => Some(InputKey::Content(digest)),
        _ => key.map(InputKey::Key),
    }
}
