//! What a build finds on this machine: the store, the snapshots, the cache, and a way out.

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;
use std::time::SystemTime;

use tokio::runtime::Runtime;

use crate::build::Error;
use crate::build::Request;
use crate::cache;
use crate::layer::Compression;
use crate::remote;
use crate::remote::Client;
use crate::remote::Retry;
use crate::sandbox::Ladder;
use crate::snapshot::Snapshotter;
use crate::solver::Cancel;
use crate::store::Store;
use crate::worker;

/// How the layers of a build are compressed.
pub(super) const COMPRESSION: Compression = Compression::DEFAULT;

/// What a build finds on this machine.
pub(super) struct Local {
    /// Nothing that is found or made here is pruned while this lives.
    pub(super) store: Store,
    pub(super) snapshots: Arc<dyn Snapshotter>,
    /// What keeps commands apart from the machine.
    pub(super) ladder: Arc<Ladder>,
    pub(super) cache: Arc<cache::Local>,
    pub(super) client: Client,
    /// The wish to stop.
    pub(super) cancel: Cancel,
    runtime: OnceLock<Runtime>,
}

impl Local {
    /// Opens everything, and makes what is missing. Starts nothing.
    pub(super) fn open(request: &Request, cancel: &Cancel) -> Result<Self, Error> {
        let root = &request.root;
        let store = Store::open(root).map_err(|source| Error::Store { source })?;
        store.hold().map_err(|source| Error::Store { source })?;
        let ladder = Arc::new(Ladder::new(request.wishes, root));
        let snapshots = worker::snapshots(&store, &ladder);
        let snapshots = snapshots.map_err(|source| Error::Snapshots { source })?;
        let now = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds(request.now_ns));
        let client = Client::new(remote::Options {
            store: store.clone(),
            registries: request.registries.clone(),
            credential_files: request.credential_files.clone(),
            certificate_folders: remote::usual_certificate_folders(),
            retry: Retry::usual().within(request.patience),
            manifest_bytes: request.patience.manifest_bytes,
            sink: request.sink.clone(),
        });
        Ok(Self {
            store,
            snapshots,
            ladder,
            cache: Arc::new(cache::Local::open(root, now)),
            client,
            cancel: cancel.clone(),
            runtime: OnceLock::new(),
        })
    }

    /// Waits for what the network brings, unless the build is to stop.
    pub(super) fn wait<T>(&self, story: impl Future<Output = T>) -> Result<T, Error> {
        let story = async {
            tokio::select! {
                biased;
                () = self.cancel.canceled() => Err(Error::Canceled),
                done = story => Ok(done),
            }
        };
        self.runtime()?.block_on(story)
    }

    /// Refuses to begin anything once the build is to stop.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.cancel.is_canceled() {
            true => Err(Error::Canceled),
            false => Ok(()),
        }
    }

    /// Lets others prune the store meanwhile: something begins that may take long.
    pub(super) fn settle(&self) -> Result<(), Error> {
        let settled = self.store.settle();
        settled.map_err(|source| Error::Store { source })
    }

    /// Gives the runtime, started when it is first needed: a build of which everything is known
    /// needs none.
    pub(super) fn runtime(&self) -> Result<&Runtime, Error> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        self.settle()?;
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.enable_all().build();
        let runtime = runtime.map_err(|source| Error::Runtime { source })?;
        Ok(self.runtime.get_or_init(|| runtime))
    }
}

/// Times before 1970 and after 2554 are taken for these.
fn nanoseconds(now: i128) -> u64 {
    u64::try_from(now.max(0)).unwrap_or(u64::MAX)
}
