//! One blob: written, read, verified.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::SystemTime;

use crate::oci::Descriptor;
use crate::oci::Digest;
use crate::oci::Digester;
use crate::store::DOCUMENT_LIMIT_BYTES;
use crate::store::Error;
use crate::store::Store;
use crate::store::file::Temporary;
use crate::sys::file::open_regular;

/// How much of a blob is copied at a time, and how many such pieces are read ahead.
const PIECE_BYTES: usize = 256 << 10;
const PIECES_AHEAD: usize = 4;

impl Store {
    /// Gives the path at which a blob is, or would be.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root().join("blobs/sha256").join(digest.hex())
    }

    /// Claims the blob and says whether the store has it, in its full size; waits while another
    /// process prunes. What cannot be claimed is as good as gone.
    #[must_use]
    pub fn contains(&self, descriptor: &Descriptor) -> bool {
        let is_whole = |found: fs::Metadata| found.len() == descriptor.size;
        self.claim(&descriptor.digest.hex()).is_ok()
            && fs::metadata(self.blob_path(&descriptor.digest)).is_ok_and(is_whole)
    }

    /// Begins a new blob. Nothing is visible until it is committed.
    ///
    /// # Errors
    /// [`Error::Write`] if no file can be made.
    pub fn writer(&self) -> Result<BlobWriter, Error> {
        Ok(BlobWriter {
            store: self.clone(),
            temporary: Temporary::create(self)?,
            digester: Digester::new(),
            size_bytes: 0,
        })
    }

    /// Stores a document and describes it.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be written.
    pub fn put(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, Error> {
        let descriptor = Descriptor::of(media_type, bytes);
        if self.contains(&descriptor) {
            return Ok(descriptor);
        }
        let mut writer = self.writer()?;
        if let Err(source) = writer.write_all(bytes) {
            let path = self.blob_path(&descriptor.digest);
            return Err(Error::Write { path, source });
        }
        writer.commit_as(&descriptor)?;
        Ok(descriptor)
    }

    /// Copies a blob of another store into this one, verified.
    ///
    /// # Errors
    /// What reading it there and writing it here can fail with.
    pub fn copy_from(&self, other: &Store, blob: &Descriptor) -> Result<(), Error> {
        if self.contains(blob) {
            return Ok(());
        }
        let mut reader = other.open_blob(blob)?;
        let mut writer = self.writer()?;
        if let Err(source) = io::copy(&mut reader, &mut writer) {
            let path = self.blob_path(&blob.digest);
            return Err(Error::Write { path, source });
        }
        writer.commit_as(blob)
    }

    /// Opens a blob for reading; its reader fails at the end if the bytes are not those promised.
    ///
    /// # Errors
    /// [`Error::BlobMissing`], [`Error::BlobSize`], or [`Error::Read`].
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<BlobReader, Error> {
        let reader = self.open_any_size(&descriptor.digest)?;
        if reader.remaining_bytes != descriptor.size {
            return Err(Error::BlobSize {
                digest: descriptor.digest,
                expected: descriptor.size,
                actual: reader.remaining_bytes,
            });
        }
        Ok(reader)
    }

    /// Reads a whole document of at most [`DOCUMENT_LIMIT_BYTES`] and verifies it.
    ///
    /// # Errors
    /// [`Error::BlobMissing`], [`Error::BlobLimit`], [`Error::BlobDigest`], or [`Error::Read`].
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        let mut reader = self.open_any_size(digest)?;
        let size_bytes = reader.remaining_bytes;
        if size_bytes > DOCUMENT_LIMIT_BYTES {
            return Err(Error::BlobLimit {
                digest: *digest,
                size_bytes,
                limit_bytes: DOCUMENT_LIMIT_BYTES,
            });
        }
        let mut bytes = Vec::new();
        let path = self.blob_path(digest);
        reader
            .file
            .read_to_end(&mut bytes)
            .map_err(|source| Error::Read { path, source })?;
        reader.digester.update(&bytes);
        reader.verify()?;
        Ok(bytes)
    }

    fn open_any_size(&self, digest: &Digest) -> Result<BlobReader, Error> {
        self.claim(&digest.hex())?;
        let path = self.blob_path(digest);
        let read = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => Error::BlobMissing { digest: *digest },
            _ => Error::Read {
                path: path.clone(),
                source,
            },
        };
        let file = open_regular(&path).map_err(read)?;
        let remaining_bytes = file.metadata().map_err(read)?.len();
        Ok(BlobReader {
            store: self.clone(),
            file,
            digester: Digester::new(),
            digest: *digest,
            remaining_bytes,
        })
    }
}

/// A blob that is being written. Dropped without commit, it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {
    store: Store,
    temporary: Temporary,
    digester: Digester,
    size_bytes: u64,
}

impl BlobWriter {
    /// Gives how many bytes were written.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Opens what is written for reading, while more is. Only positions count, since both handles
    /// share the one that reading moves.
    ///
    /// # Errors
    /// [`Error::Write`] if there can be no second handle.
    pub fn reader(&self) -> Result<File, Error> {
        let handle = self.temporary.file.try_clone();
        handle.map_err(|source| Error::Write {
            path: self.temporary.path().to_owned(),
            source,
        })
    }

    /// Tells when it was begun, by the clock that files get their times from.
    ///
    /// # Errors
    /// [`Error::Write`] if the kernel does not tell.
    pub fn begun(&self) -> Result<SystemTime, Error> {
        let metadata = self.temporary.file.metadata();
        let modified = metadata.and_then(|metadata| metadata.modified());
        modified.map_err(|source| Error::Write {
            path: self.temporary.path().to_owned(),
            source,
        })
    }

    /// Puts the blob in its place, whatever its digest.
    ///
    /// # Errors
    /// [`Error::Write`] if it cannot be made durable.
    pub fn commit(self, media_type: &str) -> Result<Descriptor, Error> {
        let digest = self.digester.finish();
        self.store.claim(&digest.hex())?;
        // A blob of that name is replaced, not kept: should it be damaged, it is whole again.
        self.temporary.place(&self.store.blob_path(&digest))?;
        Ok(Descriptor::new(media_type, digest, self.size_bytes))
    }

    /// Puts the blob in its place if it is the one `expected` describes.
    ///
    /// # Errors
    /// [`Error::BlobSize`] or [`Error::BlobDigest`] if it is not, [`Error::Write`] if it cannot
    /// be made durable.
    pub fn commit_as(self, expected: &Descriptor) -> Result<(), Error> {
        if self.size_bytes != expected.size {
            return Err(Error::BlobSize {
                digest: expected.digest,
                expected: expected.size,
                actual: self.size_bytes,
            });
        }
        let actual = self.digester.finish();
        if actual != expected.digest {
            return Err(Error::BlobDigest {
                expected: expected.digest,
                actual,
            });
        }
        self.store.claim(&actual.hex())?;
        self.temporary.place(&self.store.blob_path(&actual))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.temporary.write(bytes).map_err(|source| {
            let kind = source.kind();
            let path = self.temporary.path().to_owned();
            io::Error::new(kind, Error::Write { path, source })
        })?;
        self.digester.update(&bytes[..count]);
        self.size_bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A blob that is being read. Its last read fails if the bytes are not those promised.
#[derive(Debug)]
pub struct BlobReader {
    store: Store,
    file: File,
    digester: Digester,
    digest: Digest,
    remaining_bytes: u64,
}

impl BlobReader {
    /// Reads what is left and verifies the whole: for a decoder that stops before the end.
    ///
    /// # Errors
    /// [`Error::BlobDigest`] as the cause if the bytes are not those promised.
    pub fn finish(mut self) -> io::Result<()> {
        io::copy(&mut self, &mut io::sink()).map(drop)
    }

    /// Writes what is left to `out`, while the next pieces are read and digested, if there can be
    /// a thread for that.
    ///
    /// # Errors
    /// What reading or writing fails with.
    pub fn copy_to(mut self, out: &mut impl Write) -> io::Result<()> {
        let (read, pieces) = sync_channel(PIECES_AHEAD);
        thread::scope(|scope| {
            let reader = &mut self;
            let thread = thread::Builder::new().name("read".to_owned());
            // If there is none, no pieces come.
            let _ended = thread.spawn_scoped(scope, move || reader.read_ahead(&read));
            for piece in pieces {
                out.write_all(&piece?)?;
            }
            io::Result::Ok(())
        })?;
        io::copy(&mut self, out).map(drop)
    }

    /// Reads pieces until the end, a failure, or until nobody takes them any more.
    fn read_ahead(&mut self, to: &SyncSender<io::Result<Vec<u8>>>) {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = self.read(&mut piece).map(|count| {
                piece.truncate(count);
                piece
            });
            let is_last = !read.as_ref().is_ok_and(|piece| !piece.is_empty());
            if to.send(read).is_err() || is_last {
                return;
            }
        }
    }

    /// Compares the digest of all that was read with the blob's name. A blob that is not what it
    /// says is moved out of the way, so that it is fetched or made anew the next time.
    fn verify(&mut self) -> Result<(), Error> {
        let actual = std::mem::take(&mut self.digester).finish();
        if actual == self.digest {
            return Ok(());
        }
        let aside = format!("damaged-{}", self.digest.hex());
        // On a store that cannot be written the damage is reported again the next time.
        let _ = fs::rename(
            self.store.blob_path(&self.digest),
            self.store.temporary_folder().join(aside),
        );
        Err(Error::BlobDigest {
            expected: self.digest,
            actual,
        })
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.remaining_bytes == 0 {
            return Ok(0);
        }
        let most = usize::try_from(self.remaining_bytes).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let count = self.file.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.digester.update(&buffer[..count]);
        self.remaining_bytes -= count as u64;
        if self.remaining_bytes == 0 {
            let damaged = |error| io::Error::new(io::ErrorKind::InvalidData, error);
            self.verify().map_err(damaged)?;
        }
        Ok(count)
    }
}
