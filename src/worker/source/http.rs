//! `ADD` of a URL: a file of a web server, fetched only if it changed.

use crate::cache::ContentHasher;
use crate::graph::HttpOp;
use crate::remote;
use crate::remote::Download;
use crate::remote::Downloaded;
use crate::remote::Validators;
use crate::snapshot::SnapshotId;
use crate::snapshot::Snapshotter;
use crate::solver::Made;
use crate::solver::Task;
use crate::store::Store;
use crate::sys;
use crate::sys::Owner;
use crate::sys::Timestamp;
use crate::worker::Error;
use crate::worker::Worker;
use crate::worker::blocking;
use crate::worker::source::secrets;

const ETAG: &str = "etag";
const LAST_MODIFIED: &str = "last-modified";

/// Fetches the file into a directory of its own, or finds that the last one is still true.
pub(in crate::worker) async fn run(
    worker: &Worker,
    op: HttpOp,
    task: &Task,
) -> Result<Made, Error> {
    let previous = task.previous.as_ref();
    let wanted = Download {
        url: op.url.clone(),
        authorization: secrets::http_authorization(&worker.options.secrets, &op.url),
        known: previous.map(|record| validators(&record.facts)),
        checksum: op.checksum,
        limit_bytes: None,
    };
    let downloaded = tokio::select! {
        downloaded = remote::download(&worker.client, &wanted, &task.step) => downloaded?,
        () = task.cancel.canceled() => return Err(Error::Canceled),
    };
    match (downloaded, previous) {
        (Some(downloaded), _) => {
            let (store, snapshots) = (worker.store.clone(), worker.snapshots.clone());
            blocking(move || keep(&store, &*snapshots, &op.file_name, downloaded)).await
        }
        (None, Some(record)) => Ok(Made {
            change_set: record.change_set.clone(),
            content: record.content,
            times: record.times,
            facts: record.facts.clone(),
            layer: None,
        }),
        (None, None) => unreachable!("nothing was said to be known"),
    }
}

fn validators(facts: &[(String, String)]) -> Validators {
    let fact = |name| {
        facts
            .iter()
            .find(|fact| fact.0 == name)
            .map(|fact| fact.1.clone())
    };
    Validators {
        etag: fact(ETAG),
        last_modified: fact(LAST_MODIFIED),
    }
}

/// Puts the downloaded file into a snapshot: mode 0600, with the time its server gave it.
fn keep(
    store: &Store,
    snapshots: &dyn Snapshotter,
    name: &str,
    downloaded: Downloaded,
) -> Result<Made, Error> {
    let active = snapshots.prepare(&[])?;
    let root = active.mount()?;
    let file = root.dir().create_file(name, 0o600)?;
    let path = store.blob_path(&downloaded.blob.digest);
    let blob = std::fs::File::open(&path)
        .map_err(|source| sys::Error::new(format!("open({path:?})"), source))?;
    sys::file::copy(&blob, &file)?;
    sys::file::set_owner(&file, Owner::ROOT)?;
    sys::file::set_mode(&file, 0o600)?;
    let modified = downloaded.validators.modified_seconds();
    let time = Timestamp {
        seconds: modified.unwrap_or(0),
        nanoseconds: 0,
    };
    sys::file::set_modified(&file, time)?;
    drop(root);
    let mut hasher = ContentHasher::new();
    hasher.update_sized(name.as_bytes());
    hasher.update(downloaded.blob.digest.as_bytes());
    hasher.update(&time.seconds.to_le_bytes());
    let id: SnapshotId = snapshots.commit(active, None)?;
    let Validators {
        etag,
        last_modified,
    } = downloaded.validators;
    let facts = [(ETAG, etag), (LAST_MODIFIED, last_modified)];
    Ok(Made {
        change_set: id,
        content: Some(hasher.finish()),
        times: None,
        facts: facts
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect(),
        layer: None,
    })
}
