//! Carries out one operation, given the results of its inputs.
//!
//! This is where the graph meets Linux: images are pulled and unpacked, commands run in sandboxes,
//! files are copied, change sets are packed into layers. Nothing here decides what must run or knows
//! a cache key. Start reading at `impl solver::Worker`, below.
//!
//! Each op has a room of its own: `exec` (`RUN`), `copy` (`COPY` and `ADD`), `mkdir` (`WORKDIR`),
//! `source` (images, URLs, git). Those do not know each other and share two rooms below:
//! `change_set` (what an op starts from and leaves behind), and below that `files` (which are meant
//! and how they are put somewhere).
//!
//! Async stops here: what blocks runs on a thread of its own through [`blocking`].

mod change_set;
mod copy;
mod error;
mod exec;
mod files;
mod key_agent;
mod mkdir;
mod output;
mod source;
mod stoppable;

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use tokio::sync::mpsc::UnboundedSender;

use crate::cache::ContentDigest;
use crate::cache::Record;
use crate::cache::StatIndex;
use crate::graph::ContextOp;
use crate::graph::ImageOp;
use crate::graph::Network;
use crate::graph::Op;
use crate::layer::Compression;
use crate::oci::Layer;
use crate::oci::Reference;
use crate::progress::Sink;
use crate::progress::Step;
use crate::remote::Client;
use crate::sandbox::Ladder;
use crate::sandbox::Level;
use crate::sandbox::Limits;
use crate::sandbox::Template;
use crate::snapshot;
use crate::snapshot::Active;
use crate::snapshot::Kind;
use crate::snapshot::Lazy;
use crate::snapshot::SnapshotId;
use crate::snapshot::Snapshotter;
use crate::snapshot::View;
use crate::solver;
use crate::solver::Cancel;
use crate::solver::LayerTask;
use crate::solver::Made;
use crate::solver::Output;
use crate::solver::Selection;
use crate::solver::Task;
use crate::store::Store;

use self::change_set::EmptyLayer;
use self::exec::Expected;
use self::exec::MountPoints;

pub use self::error::Error;
pub use self::exec::Networks;
pub use self::exec::network_files;
pub use self::key_agent::KeyAgent;
pub use self::output::Tree;
pub use self::output::copy_trees;
pub use self::output::write_trees;
pub use self::source::Fetching;
pub use self::source::check_out;
pub use self::source::http_authorization;
pub use self::source::open_inside;
pub use self::source::resolve_inside;
pub use self::source::without_secrets;
pub use crate::layer::Bounds;

/// What the operations of one build need besides their inputs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the local store, the snapshots and the cache mounts are.
    pub root: PathBuf,
    /// The directories of the build context (under the empty name) and of named contexts.
    pub contexts: BTreeMap<String, PathBuf>,
    /// Secrets by id.
    pub secrets: BTreeMap<String, Vec<u8>>,
    /// Sockets of ssh agents by id.
    pub ssh: BTreeMap<String, PathBuf>,
    /// Certificates that commands trust besides their own.
    pub ca_bundle: Option<PathBuf>,
    /// The network of a command that names none.
    pub network: Network,
    /// What each command may take of the machine.
    pub limits: Limits,
    /// What a layer or archive may come to.
    pub bounds: Bounds,
    /// The time, in seconds since 1970, that no entry of a layer may be newer than.
    pub epoch: Option<i64>,
    /// How layers are compressed.
    pub compression: Compression,
    /// What keeps commands apart from the machine.
    pub ladder: Arc<Ladder>,
    /// The program that becomes a sandbox's init.
    pub binary: PathBuf,
}

impl Options {
    /// What is needed to unpack images and nothing else: no contexts, nothing lent.
    #[must_use]
    pub fn plain(root: PathBuf, ladder: Arc<Ladder>, binary: PathBuf) -> Self {
        Self {
            root,
            ladder,
            contexts: BTreeMap::new(),
            secrets: BTreeMap::new(),
            ssh: BTreeMap::new(),
            ca_bundle: None,
            network: Network::Host,
            limits: Limits::default(),
            bounds: Bounds::default(),
            epoch: None,
            compression: Compression::Gzip { level: 6 },
            binary,
        }
    }
}

/// Opens the snapshots beside what a store has, and claims with it; the ladder decides, when it is
/// asked first, how root filesystems are made.
///
/// # Errors
/// [`snapshot::Error`] if their directory cannot be made.
pub fn snapshots(
    store: &Store,
    ladder: &Arc<Ladder>,
) -> Result<Arc<dyn Snapshotter>, snapshot::Error> {
    let ladder = Arc::clone(ladder);
    // What is refused is told where a sandbox is begun; reading goes on as well as it can.
    let decide = move || match ladder.choose() {
        Ok(choice) if !choice.mounts => Kind::Copy,
        _ => Kind::Overlay,
    };
    let folder = store.root().join("snapshots");
    Ok(Arc::new(Lazy::claiming(store.lease(), &folder, decide)?))
}

/// Carries out the operations of one build. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Worker {
    options: Arc<Options>,
    store: Store,
    snapshots: Arc<dyn Snapshotter>,
    client: Client,
    indexes: Arc<Mutex<HashMap<String, Arc<StatIndex>>>>,
    networks: Arc<Networks>,
    /// What the sandboxes of commands are copied from.
    template: Template,
    commands: Expected,
    mount_points: MountPoints,
    empty_layer: EmptyLayer,
    /// What was said of the limits of commands and of what they go without.
    noted: Arc<Mutex<HashSet<String>>>,
    /// Who wants to know of layers as soon as they are there.
    layers: Option<UnboundedSender<Layer>>,
}

impl Worker {
    /// Makes a worker over a store, its snapshots and the network.
    #[must_use]
    pub fn new(
        options: Options,
        store: Store,
        snapshots: Arc<dyn Snapshotter>,
        client: Client,
    ) -> Self {
        Self {
            template: Template::new(&options.binary),
            commands: Expected::default(),
            options: Arc::new(options),
            store,
            snapshots,
            client,
            indexes: Arc::default(),
            networks: Arc::default(),
            mount_points: MountPoints::default(),
            empty_layer: EmptyLayer::default(),
            noted: Arc::default(),
            layers: None,
        }
    }

    /// Tells of each layer of the target as soon as it is there.
    #[must_use]
    pub fn telling_layers(mut self, to: UnboundedSender<Layer>) -> Self {
        self.layers = Some(to);
        self
    }

    /// Begins real work: finds out what this machine allows, says what is weaker than it could be,
    /// and clears away what killed processes left.
    ///
    /// # Errors
    /// [`Error::Sandbox`] if what was asked for is not allowed.
    pub fn begin(&self, sink: &Sink) -> Result<(), Error> {
        let choice = self.options.ladder.choose()?;
        if let Some(note) = choice.note() {
            sink.warn(note);
        }
        let snapshots = self.options.root.join("snapshots");
        if choice.level == Level::Chroot {
            // What still runs there, or was lent, is in the way.
            snapshot::remove_dead(&snapshots)?;
            return Ok(());
        }
        // Nobody waits for that: what it has not come to yet when this process ends stays for the
        // next, as does what it may not remove.
        let clear = move || drop(snapshot::remove_dead(&snapshots));
        let _unneeded = thread::Builder::new().name("clear".to_owned()).spawn(clear);
        Ok(())
    }

    /// Begins to make what ops need that are about to be carried out, beside what comes before.
    pub fn expect<'a>(&self, ops: impl Iterator<Item = &'a Op>, cancel: &Cancel) {
        for op in ops {
            if let Op::Exec(op) = op {
                exec::expect(self, op, cancel);
            }
        }
    }

    /// Ends what only commands need: there will be no more of them. Nothing is waited for until the
    /// worker is dropped.
    pub fn end(&self) {
        self.networks.end();
    }

    /// Names all that decides a layer's bytes beside its change set; part of what the cache keeps
    /// packed layers by.
    #[must_use]
    pub fn packing(&self) -> String {
        let epoch = self
            .options
            .epoch
            .map(|epoch| epoch.to_string())
            .unwrap_or_default();
        let compression = match self.options.compression {
            Compression::None => "none".to_owned(),
            // The second number changes whenever the same level begins to give other bytes.
            Compression::Gzip { level } => format!("gzip {level} 3"),
            Compression::Zstd { level } => format!("zstd {level}"),
        };
        format!("{compression} epoch {epoch}")
    }

    /// Begins a change set on an image: what a run starts from. Its layers are unpacked if need be,
    /// and fetched under the name `source` if the store lacks them.
    ///
    /// # Errors
    /// What pulling and unpacking can fail with.
    pub async fn prepare(
        &self,
        source: &Reference,
        layers: Vec<Layer>,
        step: &Step,
    ) -> Result<Active, Error> {
        let chain = layers
            .iter()
            .map(|layer| change_set::layer_id(&layer.diff_id));
        let chain = chain.collect::<Result<Vec<_>, _>>()?;
        if chain.iter().all(|id| self.snapshots.exists(id)) {
            return Ok(self.snapshots.prepare(&chain)?);
        }
        let image = ImageOp {
            name: source.familiar(),
            source: Some(source.clone()),
            layers,
        };
        step.started();
        match source::image::unpack(self, image, step.clone(), Cancel::new()).await {
            Ok(()) => step.done(),
            Err(error) => {
                step.failed(error.to_string());
                return Err(error);
            }
        }
        Ok(self.snapshots.prepare(&chain)?)
    }

    /// Gives a root filesystem, open for reading.
    ///
    /// # Errors
    /// [`Error::Snapshot`] if it cannot be mounted.
    pub fn view(&self, output: &Output) -> Result<View, Error> {
        Ok(self
            .snapshots
            .view(&change_set::whole(self, output.chain())?)?)
    }

    /// Writes what was learned of the contexts' files, for the next build.
    ///
    /// # Errors
    /// [`Error::Cache`] if an index cannot be written.
    pub fn save_indexes(&self) -> Result<(), Error> {
        let indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes
            .values()
            .try_for_each(|index| index.save())
            .map_err(Error::from)
    }

    /// Says whether a context was unpacked or fetched for this build only: nobody else writes to
    /// its files, and nobody sees them again.
    fn is_own(&self, context: &str) -> bool {
        self.options.contexts[context].starts_with(self.options.root.join("snapshots"))
    }

    /// Gives the stat index of a context; none for one of this build only.
    fn index(&self, context: &str) -> Option<Arc<StatIndex>> {
        if self.is_own(context) {
            return None;
        }
        let path = &self.options.contexts[context];
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            let folder = self.options.root.join("contexts");
            Arc::new(StatIndex::open(&folder, &real.to_string_lossy()))
        };
        let index = indexes.entry(context.to_owned()).or_insert_with(open);
        Some(Arc::clone(index))
    }
}

impl solver::Worker for Worker {
    type Error = Error;

    fn content(&self, selection: &Selection<'_>) -> Result<Option<ContentDigest>, Error> {
        match &selection.vertex.op {
            Op::Copy(op) => copy::content(self, op, selection),
            Op::Exec(op) => exec::content(self, op, selection),
            _ => Ok(None),
        }
    }

    fn may_change(&self, context: &ContextOp) -> bool {
        !self.is_own(&context.name)
    }

    fn is_whole(&self, record: &Record) -> bool {
        change_set::is_whole(self, &record.change_set)
    }

    fn has_layer(&self, layer: &Layer) -> bool {
        self.store.contains(&layer.blob)
    }

    async fn unpack(&self, image: ImageOp, step: Step, cancel: Cancel) -> Result<(), Error> {
        source::image::unpack(self, image, step, cancel).await
    }

    async fn execute(&self, task: Task) -> Result<Made, Error> {
        match &task.vertex.op {
            Op::Exec(op) => exec::run(self, op.clone(), &task).await,
            Op::Copy(op) => copy::run(self, op.clone(), &task).await,
            Op::Mkdir(op) => mkdir::run(self, op.clone(), &task).await,
            Op::Http(op) => source::http::run(self, op.clone(), &task).await,
            Op::Git(op) => source::git::run(self, op.clone(), &task).await,
            Op::Scratch | Op::Image(_) | Op::Context(_) => {
                unreachable!("the solver has their results without asking")
            }
        }
    }

    async fn layer(&self, task: LayerTask) -> Result<Layer, Error> {
        change_set::pack(self, task).await
    }

    fn has_ready(&self, layer: &Layer) {
        if let Some(layers) = &self.layers {
            // Who no longer listens does not want to know.
            let _ = layers.send(layer.clone());
        }
    }

    fn discard(&self, change_set: &SnapshotId) {
        // What cannot be removed now is garbage that `prune` removes.
        let _left = self.snapshots.remove(change_set);
    }
}

/// Runs what blocks on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Canceled),
        },
    }
}
