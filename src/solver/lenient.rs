//! A cache whose failures cost time and no build.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::cache;
use crate::cache::Cache;
use crate::cache::CacheKey;
use crate::cache::Record;
use crate::oci::Layer;
use crate::progress::Sink;
use crate::progress::in_one_line;
use crate::snapshot::SnapshotId;

/// Asks a cache, and takes a failure for "no": the work is done anew. The user is warned once.
#[derive(Debug)]
pub(super) struct Lenient<C> {
    cache: Arc<C>,
    sink: Sink,
    has_warned: AtomicBool,
}

impl<C: Cache> Lenient<C> {
    pub(super) fn new(cache: &Arc<C>, sink: &Sink) -> Self {
        Self {
            cache: Arc::clone(cache),
            sink: sink.clone(),
            has_warned: AtomicBool::new(false),
        }
    }

    pub(super) fn get(&self, key: &CacheKey) -> Option<Record> {
        self.forgive(self.cache.get(key)).flatten()
    }

    pub(super) fn put(&self, key: Option<CacheKey>, record: &Record) {
        if let Some(key) = key {
            self.forgive(self.cache.put(&key, record));
        }
    }

    pub(super) fn layer(&self, change_set: &SnapshotId, packing: &str) -> Option<Layer> {
        let layer = self.cache.layer(change_set, packing);
        self.forgive(layer).flatten()
    }

    pub(super) fn put_layer(&self, change_set: &SnapshotId, packing: &str, layer: &Layer) {
        self.forgive(self.cache.put_layer(change_set, packing, layer));
    }

    fn forgive<T>(&self, result: Result<T, cache::Error>) -> Option<T> {
        let error = match result {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            let cause = in_one_line(&error);
            self.sink.warn(format!("the cache cannot be used: {cause}"));
        }
        None
    }
}
