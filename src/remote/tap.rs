//! Reading a blob while it arrives, so that unpacking does not wait for the end of the download.

use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

/// The end of a tap that a download feeds.
#[derive(Debug)]
pub struct Tap(Arc<Shared>);

/// The end of a tap that is read, on a thread that may block.
///
/// What was written is read from the file that it is written to, so that neither end holds up the
/// other: the download is as fast as the network, and no memory is taken by what waits.
///
/// The end of the stream comes only after the whole blob was verified and stored. A download that
/// was not needed, failed or had to begin anew elsewhere ends in an error instead: what was read
/// is then worth nothing, and the blob, if fetching it succeeded, is to be read from the store.
#[derive(Debug)]
pub struct Tapped {
    shared: Arc<Shared>,
    file: Option<Arc<File>>,
    read_bytes: u64,
    /// How many bytes the file is known to have.
    known_bytes: u64,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    file: Option<Arc<File>>,
    written_bytes: u64,
    end: End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    NotYet,
    Whole,
    Lost,
}

impl Tap {
    /// Makes a tap.
    #[must_use]
    pub fn new() -> (Self, Tapped) {
        let shared = Arc::<Shared>::default();
        let tapped = Tapped {
            shared: Arc::clone(&shared),
            file: None,
            read_bytes: 0,
            known_bytes: 0,
        };
        (Self(shared), tapped)
    }

    /// Says where the bytes are to be found that are written.
    pub(super) fn open(&self, file: File) {
        self.0.state().file = Some(Arc::new(file));
    }

    /// Says that so many more bytes were written.
    pub(super) fn wrote(&self, bytes: usize) {
        self.0.state().written_bytes += bytes as u64;
        self.0.changed.notify_one();
    }

    /// Says that all that was written is the blob.
    pub(super) fn close(self) {
        self.0.state().end = End::Whole;
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if state.end == End::NotYet {
            state.end = End::Lost;
        }
        drop(state);
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tapped {
    /// Waits until there is more to read, or no more to come.
    fn wait(&mut self) -> io::Result<()> {
        let is_waiting =
            |state: &mut State| state.written_bytes == self.read_bytes && state.end == End::NotYet;
        let state = self
            .shared
            .changed
            .wait_while(self.shared.state(), is_waiting);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        if state.end == End::Lost {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the download did not come to its end",
            ));
        }
        self.known_bytes = state.written_bytes;
        self.file.clone_from(&state.file);
        Ok(())
    }
}

impl Read for Tapped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read_bytes == self.known_bytes {
            self.wait()?;
        }
        let left = self.known_bytes - self.read_bytes;
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let Some(file) = self.file.as_ref().filter(|_| wanted > 0) else {
            return Ok(0);
        };
        let count = file.read_at(&mut buffer[..wanted], self.read_bytes)?;
        self.read_bytes += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::io::Write;

    use super::Tap;

    fn written(tap: &Tap, file: &mut std::fs::File, bytes: &[u8]) {
        file.write_all(bytes).unwrap();
        tap.wrote(bytes.len());
    }

    #[test]
    fn ends_well_only_if_the_blob_is_whole() {
        let mut file = tempfile::tempfile().unwrap();
        let (tap, mut tapped) = Tap::new();
        tap.open(file.try_clone().unwrap());
        written(&tap, &mut file, b"some ");
        written(&tap, &mut file, b"");
        let mut first = [0; 3];
        tapped.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"som");
        written(&tap, &mut file, b"bytes");
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            tapped.read_to_string(&mut text).unwrap();
            assert_eq!(tapped.read(&mut [0; 1]).unwrap(), 0);
            text
        });
        written(&tap, &mut file, b"!");
        tap.close();
        assert_eq!(reader.join().unwrap(), "e bytes!");
    }

    #[test]
    fn what_is_given_up_is_an_error() {
        for begun in [false, true] {
            let mut file = tempfile::tempfile().unwrap();
            let (tap, mut tapped) = Tap::new();
            if begun {
                tap.open(file.try_clone().unwrap());
                written(&tap, &mut file, b"some");
            }
            drop(tap);
            assert!(tapped.read_to_string(&mut String::new()).is_err());
        }
    }

    #[test]
    fn an_empty_blob_has_an_end() {
        let (tap, mut tapped) = Tap::new();
        tap.close();
        assert_eq!(tapped.read(&mut [0; 1]).unwrap(), 0);
    }
}
