//! A cache in memory, as a second implementation of the trait and for the solver's tests.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use rbuild::cache::Cache;
use rbuild::cache::CacheKey;
use rbuild::cache::Error;
use rbuild::cache::Record;
use rbuild::oci::Layer;
use rbuild::snapshot::SnapshotId;

/// A cache that a test can look into and break.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) records: Mutex<HashMap<CacheKey, Record>>,
    pub(crate) layers: Mutex<HashMap<(SnapshotId, String), Layer>>,
    pub(crate) is_broken: AtomicBool,
}

impl Memory {
    fn check(&self) -> Result<(), Error> {
        match self.is_broken.load(Ordering::SeqCst) {
            true => Err(Error::Read {
                path: PathBuf::from("/broken"),
                source: std::io::Error::from_raw_os_error(5),
            }),
            false => Ok(()),
        }
    }
}

impl Cache for Memory {
    fn get(&self, key: &CacheKey) -> Result<Option<Record>, Error> {
        self.check()?;
        Ok(self.records.lock().unwrap().get(key).cloned())
    }

    fn put(&self, key: &CacheKey, record: &Record) -> Result<(), Error> {
        self.check()?;
        self.records.lock().unwrap().insert(*key, record.clone());
        Ok(())
    }

    fn layer(&self, change_set: &SnapshotId, packing: &str) -> Result<Option<Layer>, Error> {
        self.check()?;
        let name = (change_set.clone(), packing.to_owned());
        Ok(self.layers.lock().unwrap().get(&name).cloned())
    }

    fn put_layer(
        &self,
        change_set: &SnapshotId,
        packing: &str,
        layer: &Layer,
    ) -> Result<(), Error> {
        self.check()?;
        let name = (change_set.clone(), packing.to_owned());
        self.layers.lock().unwrap().insert(name, layer.clone());
        Ok(())
    }
}
