//! What a run in the background wrote: two files, of which the older is thrown away when the newer
//! is full.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::thread::JoinHandle;

/// How large each of the two files becomes.
const FULL_BYTES: u64 = 16 << 20;

const BUFFER_BYTES: usize = 64 << 10;

/// The file that is written to, and where it is.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    written_bytes: u64,
}

/// Reads what a run wrote, from the oldest that is kept on, while it goes on writing.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    file: File,
}

/// Where the older file is.
fn older(path: &Path) -> PathBuf {
    path.with_extension("old")
}

/// Opens a log to go on writing.
///
/// # Errors
/// What the kernel says.
pub fn open_log(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// Writes what comes from `source` to the log at `path` until it ends; to be waited for.
pub(super) fn keep(path: &Path, source: impl Read + Send + 'static) -> io::Result<JoinHandle<()>> {
    let file = open_log(path)?;
    let log = Log {
        path: path.to_owned(),
        written_bytes: file.metadata()?.len(),
        file,
    };
    let thread = thread::Builder::new().name("log".to_owned());
    thread.spawn(move || copy(source, log))
}

/// Takes all that comes, also if the disk does not: the process must not wait for a reader.
fn copy(mut source: impl Read, mut log: Log) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                let _lost = log.write(&buffer[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

impl Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let count = bytes.len() as u64;
        if self.written_bytes + count > FULL_BYTES {
            match fs::rename(&self.path, older(&self.path)) {
                // It was moved before, and the new one could not be opened then.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                moved => moved?,
            }
            self.file = open_log(&self.path)?;
            self.written_bytes = 0;
        }
        self.written_bytes += count;
        self.file.write_all(bytes)
    }
}

impl LogReader {
    /// Opens the log at `path`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(older(path)).or_else(|_| File::open(path))?,
            path: path.to_owned(),
        })
    }

    /// Opens the file that comes after the one that is read; none if that is the newest.
    fn next(&self) -> Option<File> {
        let own = self.file.metadata().ok()?.ino();
        let is_own = |path: &Path| fs::metadata(path).is_ok_and(|found| found.ino() == own);
        let older = older(&self.path);
        if is_own(&self.path) {
            return None;
        }
        // What was read may be older than both.
        let oldest = (!is_own(&older)).then(|| File::open(&older).ok()).flatten();
        oldest.or_else(|| File::open(&self.path).ok())
    }
}

impl Read for LogReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // Asked before reading: what was written last is read as well.
            let next = self.next();
            match (self.file.read(buffer)?, next) {
                (0, Some(next)) => self.file = next,
                (count, _) => return Ok(count),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;

    use super::FULL_BYTES;
    use super::Log;
    use super::LogReader;
    use super::keep;
    use super::older;
    use super::open_log;

    fn write(path: &std::path::Path, bytes: Vec<u8>) {
        let thread = keep(path, std::io::Cursor::new(bytes)).unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn a_log_is_cut_and_read_on_from_one_file_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        write(&path, b"first\n".to_vec());
        let mut reader = LogReader::open(&path).unwrap();
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "first\n");
        write(&path, vec![b'x'; usize::try_from(FULL_BYTES).unwrap()]);
        write(&path, b"last\n".to_vec());
        read.clear();
        assert!(reader.read_to_string(&mut read).unwrap() as u64 <= FULL_BYTES + 5);
        assert!(read.ends_with("xlast\n"));
        for _ in 0..3 {
            write(&path, vec![b'y'; usize::try_from(FULL_BYTES).unwrap()]);
        }
        let sizes = [&path, &older(&path)].map(|path| fs::metadata(path).unwrap().len());
        assert!(sizes.iter().all(|size| *size <= FULL_BYTES), "{sizes:?}");
    }
    #[test]
    fn a_log_goes_on_after_a_file_that_could_not_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = open_log(&path).unwrap();
        fs::rename(&path, older(&path)).unwrap();
        let mut log = Log {
            path: path.clone(),
            file,
            written_bytes: FULL_BYTES,
        };
        log.write(b"after").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"after");
        assert_eq!(fs::read(older(&path)).unwrap(), b"");
    }
}
