//! Reading ahead: decompressing and digesting a tar while what was read is extracted.

use std::io;
use std::io::BufRead;
use std::io::Read;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::Sender;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::channel;
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::oci::DiffId;
use crate::oci::Digester;

/// How many buffers are filled ahead of the one being read.
const AHEAD: usize = 4;

const BUFFER: usize = 256 << 10;

/// What was read in all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Total {
    pub(super) diff_id: DiffId,
    pub(super) size: u64,
}

/// Bytes that another thread reads ahead.
pub(super) struct Ahead {
    filled: Receiver<io::Result<Vec<u8>>>,
    used: Sender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
}

/// Runs `consume` on what `source` gives, read ahead by threads that end with this call: one reads,
/// which mostly means to decompress, and one digests.
///
/// The total is of what was read: of all of it if `consume` reads to the end. Fails if there can be
/// no threads.
pub(super) fn read_ahead<T>(
    source: impl Read + Send,
    consume: impl FnOnce(Ahead) -> T,
) -> io::Result<(T, Total)> {
    let (full, read) = sync_channel(AHEAD);
    let (digested, filled) = sync_channel(AHEAD);
    let (used, empty) = channel();
    thread::scope(|scope| {
        let thread = |name: &str| thread::Builder::new().name(name.to_owned());
        thread("read").spawn_scoped(scope, || fill(source, full, empty))?;
        let digester = thread("digest").spawn_scoped(scope, || digest(read, digested))?;
        let result = consume(Ahead {
            filled,
            used,
            current: Vec::new(),
            at: 0,
        });
        let total = digester
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((result, total))
    })
}

/// Fills buffers until the source ends or fails, or nobody takes them any more.
fn fill(mut source: impl Read, full: SyncSender<io::Result<Vec<u8>>>, empty: Receiver<Vec<u8>>) {
    loop {
        let mut buffer = empty.try_recv().unwrap_or_default();
        buffer.resize(BUFFER, 0);
        let (length, outcome) = read_full(&mut source, &mut buffer);
        buffer.truncate(length);
        // What came before a failure may be all that is wanted of it.
        let sent = length == 0 || full.send(Ok(buffer)).is_ok();
        if let (Err(error), true) = (outcome, sent) {
            let _ = full.send(Err(error));
            return;
        }
        if length < BUFFER || !sent {
            return;
        }
    }
}

/// Reads until the buffer is full, the source ends, or it fails; gives how much was read.
fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> (usize, io::Result<()>) {
    let mut length = 0;
    while length < buffer.len() {
        match source.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (length, Err(error)),
        }
    }
    (length, Ok(()))
}

/// Digests buffers on their way.
fn digest(read: Receiver<io::Result<Vec<u8>>>, digested: SyncSender<io::Result<Vec<u8>>>) -> Total {
    let mut digester = Digester::new();
    let mut size = 0;
    for buffer in read {
        if let Ok(bytes) = &buffer {
            digester.update(bytes);
            size += bytes.len() as u64;
        }
        if digested.send(buffer).is_err() {
            break;
        }
    }
    Total {
        diff_id: DiffId(digester.finish()),
        size,
    }
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.current.len() {
            let used = std::mem::take(&mut self.current);
            self.at = 0;
            // The reader may have ended; then nobody needs the buffer.
            let _ = self.used.send(used);
            if let Ok(next) = self.filled.recv() {
                self.current = next?;
            }
        }
        Ok(&self.current[self.at..])
    }

    fn consume(&mut self, length: usize) {
        self.at += length;
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}
