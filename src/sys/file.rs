//! What the kernel does for open files beyond reading and writing.

use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::fs::Access;
use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::FallocateFlags;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::sys::Dir;
use crate::sys::Owner;
use crate::sys::Result;
use crate::sys::Stat;
use crate::sys::Timestamp;
use crate::sys::error::Call;
use crate::sys::error::path_of;
use crate::sys::error::proc_path;
use crate::sys::random;
use crate::sys::remember;

/// Copies all of a file into an empty one: by sharing blocks where the file system can, else
/// inside the kernel, else through memory.
pub fn copy(from: &File, to: &File) -> Result<()> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let text = || format!("copy_file_range({:?}, {:?})", path_of(from), path_of(to));
    let mut copied = false;
    loop {
        // 2 GiB - 4 KiB: what one call copies at most.
        match rustix::fs::copy_file_range(from, None, to, None, 0x7fff_f000) {
            Ok(0) if copied => return Ok(()),
            // Files of unknown size seem empty to this call; reading finds what is in them.
            Ok(0) => break,
            // Before Linux 5.19 two file systems of one type could refuse each other; the rest
            // is read and written.
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                break;
            }
            Err(Errno::INTR) => {}
            Ok(_) => copied = true,
            Err(errno) => return Err(errno).call(text),
        }
    }
    let (mut from, mut to) = (from, to);
    io::copy(&mut from, &mut to).map(|_| ()).call(text)
}

/// Tells whether copies of files in a directory can share their blocks.
pub fn shares_blocks(directory: &Path) -> Result<bool> {
    let make = || {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR)
            .call(|| format!("open({directory:?}, O_TMPFILE)"))
    };
    let (from, to) = (make()?, make()?);
    rustix::io::write(&from, &[0; 4096]).call(|| "write()".to_owned())?;
    Ok(rustix::fs::ioctl_ficlone(&to, &from).is_ok())
}

/// Finds out whether this process may make files in a directory; nothing is left of it.
pub fn try_to_make(directory: &Path) -> Result<()> {
    let name = directory.join(random::name(".try-")?);
    File::create_new(&name).call(|| format!("open({name:?}, O_CREAT)"))?;
    std::fs::remove_file(&name).call(|| format!("unlink({name:?})"))
}

/// Tells whether a program is marked to have more rights than who starts it.
pub fn may_raise_rights(path: &Path) -> bool {
    let Ok(found) = rustix::fs::stat(path) else {
        return false;
    };
    let is_set = Mode::from_raw_mode(found.st_mode).contains(Mode::SUID);
    is_set || rustix::fs::getxattr(path, "security.capability", &mut [0_u8; 64]).is_ok()
}

/// Tells whether such marks count for nothing where a file is.
pub fn is_nosuid(path: &Path) -> bool {
    use rustix::fs::StatVfsMountFlags;
    rustix::fs::statvfs(path).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::NOSUID))
}

/// How many bytes there is room for in a directory.
pub fn space(directory: &Path) -> Result<u64> {
    let found = rustix::fs::statvfs(directory).call(|| format!("statvfs({directory:?})"))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Reserves space for a file, so that a full disk is found before it is written; does nothing on
/// file systems that cannot.
pub fn reserve(file: &File, size_bytes: u64) -> Result<()> {
    if size_bytes == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, size_bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        done => done.call(|| format!("fallocate({:?}, {size_bytes})", path_of(file))),
    }
}

/// Finds the next bytes of a file of `size` bytes that are not a hole, from an offset on: where they
/// begin and end; nothing if only holes follow.
pub fn data_from(file: &File, at: u64, size: u64) -> Result<Option<(u64, u64)>> {
    if at >= size {
        return Ok(None);
    }
    let begin = match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(at)) {
        Err(Errno::NXIO) => return Ok(None),
        // A file system that knows of no holes.
        Err(Errno::INVAL) => return Ok(Some((at, size))),
        found => found.call(|| "lseek(SEEK_DATA)".to_owned())?,
    };
    let end = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(begin));
    let end = end.call(|| "lseek(SEEK_HOLE)".to_owned())?.min(size);
    Ok((begin < end).then_some((begin, end)))
}

/// Sets user and group of an open file; this clears set-uid and set-gid.
pub fn set_owner(file: impl AsFd, owner: Owner) -> Result<()> {
    let uid = rustix::fs::Uid::from_raw(owner.uid);
    let gid = rustix::fs::Gid::from_raw(owner.gid);
    let set = rustix::fs::fchown(file.as_fd(), Some(uid), Some(gid));
    remember::set_owner(set, owner, || proc_path(file.as_fd()))
        .call(|| format!("fchown({:?}, {owner:?})", path_of(file.as_fd())))
}

/// Sets the permission bits of an open file.
pub fn set_mode(file: impl AsFd, mode: u32) -> Result<()> {
    rustix::fs::fchmod(file.as_fd(), Mode::from_raw_mode(mode))
        .call(|| format!("fchmod({:?}, {mode:o})", path_of(file.as_fd())))
}

/// Sets the times of modification and access of an open file.
pub fn set_modified(file: impl AsFd, modified: Timestamp) -> Result<()> {
    let times = rustix::fs::Timestamps {
        last_access: modified.spec(),
        last_modification: modified.spec(),
    };
    rustix::fs::futimens(file.as_fd(), &times)
        .call(|| format!("futimens({:?})", path_of(file.as_fd())))
}

/// Tells whether an open file may have extended attributes.
pub fn has_attributes(file: &File) -> bool {
    // If the list is longer than this, the answer is a failure, but not of these.
    let mut list = [0; 64];
    !matches!(
        rustix::fs::flistxattr(file, &mut list),
        Ok(0) | Err(Errno::OPNOTSUPP)
    )
}

/// Metadata of what a descriptor refers to.
pub fn stat(fd: impl AsFd) -> Result<Stat> {
    rustix::fs::fstat(fd.as_fd())
        .map(|raw| remember::complete(raw.into(), || proc_path(fd.as_fd())))
        .call(|| format!("fstat({:?})", path_of(fd.as_fd())))
}

/// Writes a directory's entries to the disk, so that names made in it survive a power cut.
pub fn sync_dir(dir: &Dir) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(dir, ".", flags, Mode::empty())
        .and_then(rustix::fs::fsync)
        .call(|| format!("fsync({:?})", path_of(dir)))
}

/// Makes a directory, and those above it that are missing, which nobody but their owner may enter.
/// One that is there stays as it is.
pub fn make_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a file that exists only in memory and has no name.
pub fn in_memory(label: &str) -> Result<File> {
    rustix::fs::memfd_create(label, rustix::fs::MemfdFlags::CLOEXEC)
        .map(File::from)
        .call(|| format!("memfd_create({label:?})"))
}

/// Waits until some of these files can be read or are at their end; tells which, in their order.
pub fn wait_readable<F: AsFd>(files: impl IntoIterator<Item = F>) -> Vec<bool> {
    let files: Vec<F> = files.into_iter().collect();
    let polled = files.iter().map(|file| PollFd::new(file, PollFlags::IN));
    let mut polled: Vec<PollFd<'_>> = polled.collect();
    // An interrupted wait finds none ready, and a file that cannot be waited for says so when it
    // is read.
    match rustix::event::poll(&mut polled, None) {
        Err(Errno::INTR) => vec![false; files.len()],
        Err(_) => vec![true; files.len()],
        Ok(_) => polled
            .iter()
            .map(|file| !file.revents().is_empty())
            .collect(),
    }
}

/// Opens a file to be read. One that is not of bytes is refused: a pipe would be waited for.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        )),
    }
}

/// Tells whether a file can be read, or is at its end, within a time.
pub fn is_readable_within(file: impl AsFd, time: Duration) -> bool {
    let deadline = Instant::now() + time;
    let mut files = [PollFd::new(&file, PollFlags::IN)];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).expect("it is short");
        match rustix::event::poll(&mut files, Some(&timeout)) {
            Err(Errno::INTR) => {}
            polled => return polled.is_ok_and(|count| count > 0),
        }
    }
}

/// Tells whether this process may execute a file; fails with the reason why not.
pub fn may_execute(path: &Path) -> Result<()> {
    let found = rustix::fs::stat(path).call(|| format!("stat({path:?})"))?;
    if Stat::from(found).is_dir() {
        return Err(Errno::ISDIR).call(|| format!("execve({path:?})"));
    }
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
        .call(|| format!("faccessat({path:?}, X_OK)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(format!(".try-{}", std::process::id()));
        std::fs::write(left, "").unwrap();
        try_to_make(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        try_to_make(&folder.path().join("missing")).unwrap_err();
    }
}
