//! Which repositories have a blob, as far as was seen: one small file a blob, a line a repository.
//!
//! A registry takes a layer over from another of its repositories without moving its bytes, if it
//! is told from which. That is all this is for, so that nothing here is an error: a lost line
//! costs an upload.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::PathBuf;

use crate::oci::Digest;
use crate::store::Store;
use crate::sys::file::make_private_dir;

/// How long such a file may become before it is begun anew.
const LIMIT_BYTES: usize = 8 << 10;

impl Store {
    /// Gives the repositories, as `registry/path`, that had the blob, the latest last.
    #[must_use]
    pub fn locations(&self, digest: &Digest) -> Vec<String> {
        let text = fs::read_to_string(self.location_path(digest)).unwrap_or_default();
        // A line without its end was being written when its process was killed.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// Remembers that `repository` has the blob.
    pub fn add_location(&self, digest: &Digest, repository: &str) {
        let known = self.locations(digest);
        if known.iter().any(|line| line == repository) {
            return;
        }
        let path = self.location_path(digest);
        let size: usize = known.iter().map(|line| line.len() + 1).sum();
        let write = || -> io::Result<()> {
            let mut options = File::options();
            options.create(true).write(true);
            if size > LIMIT_BYTES {
                options.truncate(true);
            } else {
                options.append(true);
            }
            // One write, so that two processes do not mix their lines.
            options
                .open(&path)?
                .write_all(format!("{repository}\n").as_bytes())
        };
        if write().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            let _ = make_private_dir(&self.location_folder()).and_then(|()| write());
        }
    }

    pub(super) fn location_folder(&self) -> PathBuf {
        self.root().join("locations")
    }

    fn location_path(&self, digest: &Digest) -> PathBuf {
        self.location_folder().join(digest.hex())
    }
}
