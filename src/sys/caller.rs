//! A process whose call waits for an answer, as far as that takes a look at it.

use std::ffi::OsStr;
use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::fs::OFlags;

use crate::sys::Error;
use crate::sys::Handle;
use crate::sys::Result;
use crate::sys::error::Call as _;

/// The longest path that the kernel takes.
const PATH_MAX: usize = 4096;

/// A process that waits for an answer. Its number may be another's by now: what was learnt of it
/// counts if it is seen to wait afterwards.
#[derive(Debug)]
pub(super) struct Caller {
    folder: PathBuf,
    memory: File,
}

impl Caller {
    /// Takes a look at the process of this number, whose memory this one must be allowed to see.
    pub(super) fn new(number: u32) -> Result<Caller> {
        let folder = Path::new("/proc").join(number.to_string());
        let memory = File::options()
            .read(true)
            .write(true)
            .open(folder.join("mem"));
        let memory = memory.map_err(|error| Error::new("open(mem)", error))?;
        Ok(Caller { folder, memory })
    }

    /// Opens what one of its links leads to.
    pub(super) fn open(&self, link: &str) -> Result<Handle> {
        let path = self.folder.join(link);
        rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .map(Handle::from_fd)
            .call(|| format!("open({path:?})"))
    }

    /// What the kernel says of it in one of its files; nothing where that is refused.
    pub(super) fn said(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.join(name)).unwrap_or_default()
    }

    /// Where one of its links leads, as the kernel tells this process.
    pub(super) fn read_link(&self, link: &str) -> Result<PathBuf> {
        let read = fs::read_link(self.folder.join(link));
        read.map_err(|error| Error::new(format!("readlink({link:?})"), error))
    }

    /// Where one of its links leads, as a path below its root directory; nothing if not there.
    pub(super) fn read_link_inside(&self, link: &str) -> Result<Option<PathBuf>> {
        let (place, root) = (self.read_link(link)?, self.read_link("root")?);
        Ok(place.strip_prefix(&root).ok().map(Path::to_owned))
    }

    /// Reads memory that ends where the process's does, or where `bytes` does.
    pub(super) fn read(&self, address: u64, bytes: &mut [u8]) -> Result<usize> {
        let length = self.memory.read_at(bytes, address);
        length.map_err(|_| failed(libc::EFAULT))
    }

    /// Reads a path that ends with NUL.
    pub(super) fn read_path(&self, address: u64) -> Result<PathBuf> {
        let mut bytes = vec![0; PATH_MAX];
        let length = self.read(address, &mut bytes)?;
        let end = bytes[..length].iter().position(|byte| *byte == 0);
        let end = end.ok_or_else(|| failed(libc::ENAMETOOLONG))?;
        Ok(PathBuf::from(OsStr::from_bytes(&bytes[..end])))
    }

    /// Writes into its memory.
    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let written = self.memory.write_all_at(bytes, address);
        written.map_err(|_| failed(libc::EFAULT))
    }
}

/// Reads a little of a process's memory, in less time than it takes to look at more of it.
pub(super) fn peek(process: u32, address: u64, bytes: &mut [u8]) -> Result<usize> {
    let local = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let remote = libc::iovec {
        iov_base: std::ptr::without_provenance_mut(usize::try_from(address).unwrap_or(0)),
        iov_len: bytes.len(),
    };
    let number = process.cast_signed();
    // SAFETY: the kernel writes to `bytes` alone, which are borrowed for the call.
    let read =
        unsafe { libc::process_vm_readv(number, &raw const local, 1, &raw const remote, 1, 0) };
    match usize::try_from(read) {
        Ok(length) => Ok(length),
        // Containers of some years ago forbid this call.
        Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::PermissionDenied => {
            Caller::new(process)?.read(address, bytes)
        }
        Err(_) => Err(failed(libc::EFAULT)),
    }
}

fn failed(errno: i32) -> Error {
    Error::new("use a caller's memory", io::Error::from_raw_os_error(errno))
}
