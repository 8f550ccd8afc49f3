//! The rest of small files, on a second thread while the first makes the next ones.
//!
//! To write a small file and say whose it is takes as long as to make it.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::thread::JoinHandle;

use crate::layer::Error;
use crate::layer::Result;
use crate::sys;
use crate::sys::Owner;
use crate::sys::Timestamp;

/// How many files and bytes are handed over at once: to wake the other thread takes time, too. Up
/// to three times as many are open, for each layer that is unpacked at the same time.
const BATCH_FILES: usize = 16;
const BATCH_BYTES: usize = 256 << 10;

/// A file that was made, and what it becomes.
pub(super) struct Rest {
    pub(super) file: File,
    /// Its path in the archive.
    pub(super) path: PathBuf,
    pub(super) content: Vec<u8>,
    /// Whose it becomes, if not whose it is.
    pub(super) owner: Option<Owner>,
    pub(super) mode: u32,
    pub(super) modified: Timestamp,
}

/// Finishes files. Dropped, it waits for those that were handed over, and forgets the others.
#[derive(Default)]
pub(super) struct Finisher {
    batch: Vec<Rest>,
    bytes: usize,
    /// Whether any file was taken since all were finished.
    is_behind: bool,
    helper: Option<Helper>,
}

/// Files, and who wants to know when they are finished.
type Batch = (Vec<Rest>, Option<SyncSender<()>>);

struct Helper {
    batches: SyncSender<Batch>,
    thread: JoinHandle<Result<()>>,
}

impl Finisher {
    /// Takes a file. What fails may be told of another one, taken before.
    pub(super) fn add(&mut self, rest: Rest) -> Result<()> {
        self.is_behind = true;
        self.bytes += rest.content.len();
        self.batch.push(rest);
        match self.batch.len() < BATCH_FILES && self.bytes < BATCH_BYTES {
            true => Ok(()),
            false => self.hand_over(),
        }
    }

    /// Finishes all files that were taken.
    pub(super) fn wait(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.is_behind) {
            return Ok(());
        }
        let Some(helper) = &self.helper else {
            return finish_all(self.take());
        };
        let (done, is_done) = sync_channel(1);
        let sent = helper.batches.clone().send((self.take(), Some(done)));
        match sent.is_ok() && is_done.recv().is_ok() {
            true => Ok(()),
            false => self.end(),
        }
    }

    fn take(&mut self) -> Vec<Rest> {
        self.bytes = 0;
        std::mem::take(&mut self.batch)
    }

    fn hand_over(&mut self) -> Result<()> {
        let batch = self.take();
        self.helper = self.helper.take().or_else(Helper::start);
        match &self.helper {
            Some(helper) => helper.batches.send((batch, None)).or_else(|_| self.end()),
            None => finish_all(batch),
        }
    }

    /// Waits for the other thread and gives what it failed with.
    fn end(&mut self) -> Result<()> {
        let Some(Helper { batches, thread }) = self.helper.take() else {
            return Ok(());
        };
        drop(batches);
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Finisher {
    fn drop(&mut self) {
        // Whoever drops it has failed already, and tells why.
        if !thread::panicking() {
            let _ = self.end();
        }
    }
}

impl Helper {
    /// Starts the other thread; without one, the first does its work.
    fn start() -> Option<Self> {
        let (batches, waiting) = sync_channel(1);
        let thread = thread::Builder::new().name("finish".to_owned());
        let thread = thread.spawn(|| take_batches(waiting)).ok()?;
        Some(Self { batches, thread })
    }
}

fn finish_all(batch: Vec<Rest>) -> Result<()> {
    batch.into_iter().try_for_each(Rest::finish)
}

fn take_batches(batches: Receiver<Batch>) -> Result<()> {
    for (batch, done) in batches {
        finish_all(batch)?;
        if let Some(done) = done {
            // Whoever asked may have failed meanwhile.
            let _ = done.send(());
        }
    }
    Ok(())
}

impl Rest {
    fn finish(mut self) -> Result<()> {
        if let Err(source) = self.file.write_all(&self.content) {
            let path = self.path;
            return Err(Error::Write { path, source });
        }
        let set = || {
            // In this order: each undoes some of a later one.
            if let Some(owner) = self.owner {
                sys::file::set_owner(&self.file, owner)?;
            }
            sys::file::set_mode(&self.file, self.mode)?;
            sys::file::set_modified(&self.file, self.modified)
        };
        set().map_err(|source| Error::Extract {
            path: self.path.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use super::BATCH_FILES;
    use super::Finisher;
    use super::Rest;
    use crate::layer::Error;
    use crate::sys::Timestamp;

    fn rest(file: File, path: &Path) -> Rest {
        Rest {
            file,
            path: path.to_owned(),
            content: path.as_os_str().as_encoded_bytes().to_vec(),
            owner: None,
            mode: 0o640,
            modified: Timestamp {
                seconds: 7,
                nanoseconds: 0,
            },
        }
    }

    #[test]
    fn all_that_were_taken_are_finished() {
        let folder = tempfile::tempdir().unwrap();
        for count in [0, 1, BATCH_FILES, 5 * BATCH_FILES + 1] {
            let mut finisher = Finisher::default();
            let path = |number| folder.path().join(format!("{count}-{number}"));
            for number in 0..count {
                let file = File::create(path(number)).unwrap();
                finisher.add(rest(file, &path(number))).unwrap();
                if number % 40 == 0 {
                    finisher.wait().unwrap();
                    assert_eq!(fs::metadata(path(number)).unwrap().mtime(), 7);
                }
            }
            finisher.wait().unwrap();
            for number in 0..count {
                let metadata = fs::metadata(path(number)).unwrap();
                assert_eq!((metadata.mode() & 0o777, metadata.mtime()), (0o640, 7));
                let content = fs::read(path(number)).unwrap();
                assert_eq!(content, path(number).as_os_str().as_encoded_bytes());
            }
        }
    }

    #[test]
    fn what_fails_is_told_of_the_file() {
        for more in [0, 1000] {
            let mut finisher = Finisher::default();
            let unwritable = File::open("/dev/null").unwrap();
            let taken = (0..=more).try_for_each(|number| {
                let file = match number {
                    0 => unwritable.try_clone().unwrap(),
                    _ => tempfile::tempfile().unwrap(),
                };
                finisher.add(rest(file, Path::new(&number.to_string())))
            });
            let told = taken.and_then(|()| finisher.wait());
            let path = match told.unwrap_err() {
                Error::Write { path, .. } => path,
                other => panic!("{other}"),
            };
            assert_eq!(path, Path::new("0"));
        }
    }
}
