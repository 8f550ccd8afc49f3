//! A worker that does nothing but remember what it was asked, in which order.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use rbuild::cache::ContentDigest;
use rbuild::cache::Record;
use rbuild::graph::ImageOp;
use rbuild::graph::Op;
use rbuild::oci::Descriptor;
use rbuild::oci::DiffId;
use rbuild::oci::Digest;
use rbuild::oci::Layer;
use rbuild::progress::Step;
use rbuild::snapshot::SnapshotId;
use rbuild::solver::Cancel;
use rbuild::solver::LayerTask;
use rbuild::solver::Made;
use rbuild::solver::Selection;
use rbuild::solver::Task;
use rbuild::solver::Worker;
use tokio::sync::Barrier;

use super::wait::PATIENCE;

/// Why a vertex failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("failed as told")]
    Told,
    #[error("stopped")]
    Stopped,
}

/// What the worker does with a vertex, beside remembering it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behaviour {
    /// How long it takes.
    pub(crate) takes: Duration,
    /// The line of the log that it waits for.
    pub(crate) until: Option<String>,
    /// Whether it fails then.
    pub(crate) fails: bool,
    /// Whether it lasts until it is told to stop, and how long it needs for that.
    pub(crate) lasts: Option<Duration>,
    /// The content of what it makes: by default its name, empty for one not known.
    pub(crate) content: Option<String>,
    /// The times that it gives to what it makes.
    pub(crate) times: Option<String>,
    /// What another vertex reads of an input from then on.
    pub(crate) selects: Option<(String, usize, String)>,
}

/// What the worker was told with a vertex.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) previous: Option<Record>,
    pub(crate) is_needed: bool,
    pub(crate) is_exported: bool,
}

/// A worker for tests. Vertices are known by their names.
#[derive(Debug, Default)]
pub(crate) struct Fake {
    /// What was asked: `begin a`, `end a`, `layer a#1`, `layer b on nothing`, `unpack base`,
    /// `discard a#2`.
    pub(crate) log: Mutex<Vec<String>>,
    pub(crate) behaviours: Mutex<HashMap<String, Behaviour>>,
    /// What each vertex reads of an input; by default the input as a whole.
    pub(crate) selected: Mutex<HashMap<(String, usize), String>>,
    /// Change sets and blobs that are lost.
    pub(crate) gone: Mutex<HashSet<String>>,
    /// Vertices whose layers fail to be packed.
    pub(crate) unpackable: Mutex<HashSet<String>>,
    /// What each executed vertex was given.
    pub(crate) tasks: Mutex<Vec<Told>>,
    /// Those that meet: none of them ends before all have begun.
    pub(crate) meeting: Mutex<Option<(HashSet<String>, std::sync::Arc<Barrier>)>>,
    pub(crate) running: AtomicUsize,
    pub(crate) most_running: AtomicUsize,
    made: AtomicUsize,
}

impl Fake {
    pub(crate) fn behave(&self, name: &str, behaviour: Behaviour) {
        let mut behaviours = self.behaviours.lock().unwrap();
        behaviours.insert(name.to_owned(), behaviour);
    }

    pub(crate) fn select(&self, name: &str, position: usize, content: &str) {
        let mut selected = self.selected.lock().unwrap();
        selected.insert((name.to_owned(), position), content.to_owned());
    }

    /// Lets the vertices named end only when all of them have begun.
    pub(crate) fn meet(&self, names: &[&str]) {
        self.meet_by(names.len(), names);
    }

    /// Lets so many of the vertices named, of whom none may be left over, end only when as many have
    /// begun.
    pub(crate) fn meet_by(&self, count: usize, names: &[&str]) {
        let barrier = std::sync::Arc::new(Barrier::new(count));
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        *self.meeting.lock().unwrap() = Some((names, barrier));
    }

    /// Gives the log and begins a new one.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }

    /// Gives the names of what was executed, sorted, and begins a new log.
    pub(crate) fn take_executed(&self) -> Vec<String> {
        let log = self.take_log();
        let names = log.iter().filter_map(|line| line.strip_prefix("begin "));
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Adds a line to the log.
    pub(crate) fn note(&self, line: String) {
        self.log.lock().unwrap().push(line);
    }

    /// Whether the log has this line.
    pub(crate) fn has_noted(&self, line: &str) -> bool {
        self.log.lock().unwrap().iter().any(|noted| noted == line)
    }

    async fn await_line(&self, line: &str) {
        let begun = Instant::now();
        while !self.has_noted(line) {
            assert!(begun.elapsed() < PATIENCE, "nobody notes {line}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn act(&self, name: &str, behaviour: &Behaviour, cancel: &Cancel) -> Result<(), Failure> {
        let meeting = self.meeting.lock().unwrap().clone();
        if let Some((names, barrier)) = meeting
            && names.contains(name)
        {
            let met = tokio::time::timeout(PATIENCE, barrier.wait()).await;
            met.expect("they run at the same time");
        }
        if let Some(takes_to_stop) = behaviour.lasts {
            cancel.canceled().await;
            tokio::time::sleep(takes_to_stop).await;
            return Err(Failure::Stopped);
        }
        tokio::time::sleep(behaviour.takes).await;
        if let Some(line) = &behaviour.until {
            self.await_line(line).await;
        }
        match behaviour.fails {
            true => Err(Failure::Told),
            false => Ok(()),
        }
    }
}

impl Worker for Fake {
    type Error = Failure;

    fn content(&self, selection: &Selection<'_>) -> Result<Option<ContentDigest>, Failure> {
        let name = &selection.vertex.name;
        self.note(format!("content {name} {}", selection.position));
        let selected = self.selected.lock().unwrap();
        match selected.get(&(name.clone(), selection.position)) {
            Some(text) if text == "missing" => Err(Failure::Told),
            Some(text) => Ok(Some(ContentDigest::of(text.as_bytes()))),
            None => Ok(None),
        }
    }

    fn is_whole(&self, record: &Record) -> bool {
        let gone = self.gone.lock().unwrap();
        !gone.contains(record.change_set.as_str())
    }

    fn has_layer(&self, layer: &Layer) -> bool {
        let gone = self.gone.lock().unwrap();
        !gone.contains(&layer.blob.media_type)
    }

    async fn unpack(&self, image: ImageOp, _: Step, cancel: Cancel) -> Result<(), Failure> {
        self.note(format!("unpack {}", image.name));
        let behaviour = self.behaviours.lock().unwrap().get(&image.name).cloned();
        self.act(&image.name, &behaviour.unwrap_or_default(), &cancel)
            .await
    }

    async fn execute(&self, task: Task) -> Result<Made, Failure> {
        let name = task.vertex.name.clone();
        self.note(format!("begin {name}"));
        let told = Told {
            name: name.clone(),
            previous: task.previous,
            is_needed: task.is_needed,
            is_exported: task.is_exported,
        };
        self.tasks.lock().unwrap().push(told);
        let takes_part = task.vertex.op.changes_root();
        let running = self
            .running
            .fetch_add(usize::from(takes_part), Ordering::SeqCst)
            + 1;
        self.most_running.fetch_max(running, Ordering::SeqCst);
        let behaviour = self.behaviours.lock().unwrap().get(&name).cloned();
        let behaviour = behaviour.unwrap_or_default();
        let acted = self.act(&name, &behaviour, &task.cancel).await;
        self.running
            .fetch_sub(usize::from(takes_part), Ordering::SeqCst);
        self.note(format!("end {name}"));
        acted?;
        if let Some((name, position, content)) = &behaviour.selects {
            self.select(name, *position, content);
        }
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        let content = behaviour.content.unwrap_or_else(|| name.clone());
        let is_known = !content.is_empty();
        Ok(Made {
            change_set: SnapshotId::new(format!("{name}-{number}")).unwrap(),
            content: is_known.then(|| ContentDigest::of(content.as_bytes())),
            times: behaviour
                .times
                .map(|times| ContentDigest::of(times.as_bytes())),
            facts: vec![("made by".to_owned(), name)],
            layer: None,
        })
    }

    async fn layer(&self, task: LayerTask) -> Result<Layer, Failure> {
        let below = if task.is_linked { " on nothing" } else { "" };
        self.note(format!("layer {}{below}", task.step.name()));
        if self.unpackable.lock().unwrap().contains(task.step.name()) {
            return Err(Failure::Told);
        }
        Ok(layer(task.change_set.as_str()))
    }

    fn discard(&self, change_set: &SnapshotId) {
        let name = change_set.as_str().split('-').next().unwrap_or_default();
        self.note(format!("discard {name}"));
    }
}

/// Makes a layer that is told apart by its media type.
pub(crate) fn layer(name: &str) -> Layer {
    let digest = Digest::of(name.as_bytes());
    Layer {
        diff_id: DiffId(digest),
        blob: Descriptor::new(name, digest, 1),
    }
}

/// Makes an image op with one layer.
pub(crate) fn image(name: &str) -> Op {
    Op::Image(ImageOp {
        name: name.to_owned(),
        source: None,
        layers: vec![layer(name)],
    })
}
