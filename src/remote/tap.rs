//! Reading a blob while it arrives, so that unpacking does not wait for the end of the download.

use std::io;
use std::io::Read;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;

use bytes::Bytes;

/// How many pieces may wait for the reader; then the download waits.
const WAITING_PIECES: usize = 64;

/// The end of a tap that a download feeds.
#[derive(Debug)]
pub struct Tap {
    pieces: SyncSender<Piece>,
}

/// The end of a tap that is read, on a thread that may block.
///
/// The end of the stream comes only after the whole blob was verified and stored. A download that
/// was not needed, failed or had to begin anew elsewhere ends in an error instead: what was read
/// is then worth nothing, and the blob, if fetching it succeeded, is to be read from the store.
#[derive(Debug)]
pub struct Tapped {
    pieces: Receiver<Piece>,
    current: Bytes,
    is_whole: bool,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    Whole,
}

impl Tap {
    /// Makes a tap.
    #[must_use]
    pub fn new() -> (Self, Tapped) {
        let (sender, receiver) = mpsc::sync_channel(WAITING_PIECES);
        let tapped = Tapped {
            pieces: receiver,
            current: Bytes::new(),
            is_whole: false,
        };
        (Self { pieces: sender }, tapped)
    }

    /// Hands on the next bytes. A reader that has gone away is no reason to stop downloading.
    pub(super) fn pass(&self, bytes: Bytes) {
        let _ = self.pieces.send(Piece::Bytes(bytes));
    }

    /// Says that all that was passed is the blob.
    pub(super) fn close(self) {
        let _ = self.pieces.send(Piece::Whole);
    }
}

impl Read for Tapped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.is_whole {
            match self.pieces.recv() {
                Ok(Piece::Bytes(bytes)) => self.current = bytes,
                Ok(Piece::Whole) => self.is_whole = true,
                Err(mpsc::RecvError) => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the download did not come to its end",
                    ));
                }
            }
        }
        let count = self.current.len().min(buffer.len());
        let piece = self.current.split_to(count);
        buffer[..count].copy_from_slice(&piece);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use bytes::Bytes;

    use super::Tap;

    #[test]
    fn ends_well_only_if_the_blob_is_whole() {
        let (tap, mut tapped) = Tap::new();
        tap.pass(Bytes::from_static(b"some "));
        tap.pass(Bytes::new());
        tap.pass(Bytes::from_static(b"bytes"));
        tap.close();
        let mut text = String::new();
        tapped.read_to_string(&mut text).unwrap();
        assert_eq!(text, "some bytes");
        assert_eq!(tapped.read(&mut [0; 1]).unwrap(), 0);

        let (tap, mut tapped) = Tap::new();
        tap.pass(Bytes::from_static(b"some"));
        drop(tap);
        assert!(tapped.read_to_string(&mut text).is_err());
    }
}
