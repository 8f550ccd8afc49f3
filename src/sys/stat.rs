//! What the kernel tells about a file.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// A user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

impl Owner {
    /// Root and its group.
    pub const ROOT: Owner = Owner { uid: 0, gid: 0 };
}

/// A point in time as file systems keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp {
    /// Seconds since 1970, negative before.
    pub seconds: i64,
    /// Nanoseconds within the second, below 1 000 000 000.
    pub nanoseconds: u32,
}

/// A file's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// The permission bits with set-uid, set-gid and sticky: the low twelve bits.
    pub mode: u32,
    /// The owner.
    pub owner: Owner,
    /// The size in bytes.
    pub size: u64,
    /// How many names it has.
    pub links: u64,
    /// The number of the device it lies on, and its number there: together its identity.
    pub identity: (u64, u64),
    /// For a device, the major and minor number; else zeros.
    pub device: (u32, u32),
    /// When its content last changed.
    pub modified: Timestamp,
    /// When its content or metadata last changed; no program can set it.
    pub changed: Timestamp,
}

impl Stat {
    /// Tells whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            FileKind::File => "a regular file",
            FileKind::Directory => "a directory",
            FileKind::Symlink => "a symbolic link",
            FileKind::CharDevice => "a character device",
            FileKind::BlockDevice => "a block device",
            FileKind::Fifo => "a named pipe",
            FileKind::Socket => "a socket",
        })
    }
}

impl FileKind {
    pub(super) fn of(kind: rustix::fs::FileType) -> FileKind {
        use rustix::fs::FileType;
        match kind {
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            FileType::CharacterDevice => FileKind::CharDevice,
            FileType::BlockDevice => FileKind::BlockDevice,
            FileType::Fifo => FileKind::Fifo,
            FileType::Socket => FileKind::Socket,
            FileType::RegularFile | FileType::Unknown => FileKind::File,
        }
    }
}

impl From<rustix::fs::Stat> for Stat {
    fn from(raw: rustix::fs::Stat) -> Stat {
        Stat {
            kind: FileKind::of(rustix::fs::FileType::from_raw_mode(raw.st_mode)),
            mode: raw.st_mode & 0o7777,
            owner: Owner {
                uid: raw.st_uid,
                gid: raw.st_gid,
            },
            size: raw.st_size.cast_unsigned(),
            #[allow(clippy::useless_conversion, reason = "it has 32 bits on aarch64")]
            links: u64::from(raw.st_nlink),
            identity: (raw.st_dev, raw.st_ino),
            device: (
                rustix::fs::major(raw.st_rdev),
                rustix::fs::minor(raw.st_rdev),
            ),
            modified: Timestamp::of(raw.st_mtime, raw.st_mtime_nsec),
            changed: Timestamp::of(raw.st_ctime, raw.st_ctime_nsec),
        }
    }
}

impl Timestamp {
    fn of(seconds: i64, nanoseconds: u64) -> Timestamp {
        let nanoseconds = u32::try_from(nanoseconds).expect("the kernel keeps it below 10^9");
        Timestamp {
            seconds,
            nanoseconds,
        }
    }

    pub(super) fn spec(self) -> rustix::fs::Timespec {
        rustix::fs::Timespec {
            tv_sec: self.seconds,
            tv_nsec: i64::from(self.nanoseconds),
        }
    }
}
