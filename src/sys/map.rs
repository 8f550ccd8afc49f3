//! Files that are read where the kernel keeps them.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;
use memmap2::MmapOptions;

/// The bytes of a file, without a copy of them.
///
/// Only for files of rbuild's own that are replaced by renaming another over them, and never changed
/// where they lie: what is cut off a file that is mapped is an access to nothing for whoever reads it.
#[derive(Debug)]
pub struct Map(Mmap);

impl Map {
    /// Maps a file that is all read, which may be empty.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: nobody changes such a file, as is said above.
        let map = unsafe { MmapOptions::new().populate().map(&file)? };
        Ok(Self(map))
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Map;

    #[test]
    fn a_map_shows_what_the_file_was_when_it_was_replaced() {
        let home = tempfile::tempdir().unwrap();
        let (path, other) = (home.path().join("file"), home.path().join("other"));
        fs::write(&path, "first").unwrap();
        fs::write(&other, "").unwrap();
        let map = Map::open(&path).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(&*map, b"first");
        assert_eq!(&*Map::open(&path).unwrap(), b"");
        assert!(Map::open(&other).is_err());
    }
}
