//! Finds work that was done before: cache key -> record.
//!
//! A [`CacheKey`] names a piece of work by all that decides its result; a [`Record`] says what the
//! work left behind. Beside records the cache keeps which layer a change set was packed into, and
//! the [`StatIndex`], which knows the digests of a context's files that have not changed.
//!
//! Nothing here decides what must run (that is `solver`), holds file content or trusts what it
//! reads: an entry that is torn, damaged or of another version is as good as none.
//!
//! Start reading at [`CacheKey`], then [`Record`] and [`Cache`].

mod error;
mod key;
mod local;
mod parts;
mod record;
mod stat;

use crate::oci::Layer;
use crate::snapshot::SnapshotId;

pub use error::Error;
pub use key::CacheKey;
pub use key::Component;
pub use key::ContentDigest;
pub use key::ContentHasher;
pub use key::InputKey;
pub use key::KEY_VERSION;
pub use key::components;
pub use local::Damaged;
pub use local::Entry;
pub use local::Local;
pub use parts::PartDigest;
pub use record::Record;
pub use stat::FileStamp;
pub use stat::StatIndex;

/// Keeps records by key, for as long as it likes.
///
/// All methods may be called from many threads, and many processes may use one cache.
pub trait Cache: Send + Sync {
    /// Gives the record under `key`, if there is one.
    ///
    /// # Errors
    /// Any failure but a missing or unreadable record, which is none.
    fn get(&self, key: &CacheKey) -> Result<Option<Record>, Error>;

    /// Keeps `record` under `key`; an older one is forgotten.
    ///
    /// # Errors
    /// Any failure to write.
    fn put(&self, key: &CacheKey, record: &Record) -> Result<(), Error>;

    /// Gives the layer that `change_set` was packed into, if there is one. `packing` names all
    /// that decides a layer's bytes beside the change set: compression, clamped times.
    ///
    /// # Errors
    /// As for [`Cache::get`].
    fn layer(&self, change_set: &SnapshotId, packing: &str) -> Result<Option<Layer>, Error>;

    /// Keeps `layer` as what `change_set` was packed into.
    ///
    /// # Errors
    /// As for [`Cache::put`].
    fn put_layer(&self, change_set: &SnapshotId, packing: &str, layer: &Layer)
    -> Result<(), Error>;
}
