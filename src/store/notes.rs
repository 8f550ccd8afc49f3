//! Notes about blobs, by names that whoever writes them chooses: what a layer consists of.
//!
//! A note only saves work, so that nothing here is an error, and none is made durable: who reads
//! one checks it.

use std::fs;
use std::fs::DirEntry;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::PathBuf;

use crate::oci::Digest;
use crate::store::Store;
use crate::store::file::Temporary;
use crate::sys::file::make_private_dir;

/// How long the text of a digest is.
const HEX: usize = 64;

/// A larger note is not ours.
const LIMIT_BYTES: u64 = 64 << 20;

impl Store {
    /// Gives the last note under a name, and the blob that it is about.
    #[must_use]
    pub fn note(&self, name: &str) -> Option<(File, Vec<u8>)> {
        let path = self.note_folder().join(name);
        let is_small = fs::metadata(&path).ok()?.len() <= LIMIT_BYTES;
        let mut bytes = is_small.then(|| fs::read(&path).ok())??;
        let digest = digest_of(&bytes)?;
        let blob = File::open(self.blob_path(&digest)).ok()?;
        bytes.drain(..HEX);
        Some((blob, bytes))
    }

    /// Notes something about a blob under a name; an older note of that name is forgotten.
    pub fn put_note(&self, name: &str, blob: &Digest, bytes: &[u8]) {
        let write = || -> Option<()> {
            let mut temporary = Temporary::create(self).ok()?;
            temporary.file.write_all(blob.hex().as_bytes()).ok()?;
            temporary.file.write_all(bytes).ok()?;
            temporary.place_unsynced(&self.note_folder().join(name))
        };
        if write().is_none() && make_private_dir(&self.note_folder()).is_ok() {
            write();
        }
    }

    pub(super) fn note_folder(&self) -> PathBuf {
        self.root().join("notes")
    }
}

/// Gives the blob that a note is about.
pub(super) fn blob_of(note: &DirEntry) -> Option<Digest> {
    let mut head = Vec::new();
    let file = File::open(note.path()).ok()?;
    io::Read::read_to_end(&mut io::Read::take(file, HEX as u64), &mut head).ok()?;
    digest_of(&head)
}

fn digest_of(note: &[u8]) -> Option<Digest> {
    Digest::from_hex(str::from_utf8(note.get(..HEX)?).ok()?).ok()
}
