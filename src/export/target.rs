//! Where an image can go.

use std::path::PathBuf;

/// One `--output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `type=oci` and `type=docker`: an archive.
    Archive {
        /// Which layout it has.
        format: ArchiveFormat,
        /// Where it is written.
        destination: Destination,
    },
    /// `type=oci,tar=false`: an OCI image layout in a directory.
    Layout {
        /// The directory; made if missing.
        directory: PathBuf,
    },
    /// `type=local`: the root filesystem in a directory.
    Local {
        /// The directory; made if missing.
        directory: PathBuf,
        /// Whether each platform has a folder in it.
        folders: Folders,
    },
    /// `type=tar`: the root filesystem as an archive.
    Tar {
        /// Where it is written.
        destination: Destination,
        /// Whether each platform has a folder in it.
        folders: Folders,
    },
    /// `type=image,push=true` and `--push`: every tag in its registry.
    Registry,
}

impl Target {
    /// Says whether it is made of the image's files, not of its blobs.
    #[must_use]
    pub fn has_files(&self) -> bool {
        matches!(self, Self::Local { .. } | Self::Tar { .. })
    }

    /// Says whether it holds the layers' blobs.
    #[must_use]
    pub fn holds_blobs(&self) -> bool {
        matches!(self, Self::Archive { .. } | Self::Layout { .. })
    }

    /// Says whether it is written to standard output.
    #[must_use]
    pub fn is_stdout(&self) -> bool {
        match self {
            Self::Archive { destination, .. } | Self::Tar { destination, .. } => {
                *destination == Destination::Stdout
            }
            Self::Layout { .. } | Self::Local { .. } | Self::Registry => false,
        }
    }
}

/// Whether the files of each platform are put into a folder of its own: `platform-split`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Folders {
    /// If the image has an index.
    #[default]
    ForIndex,
    /// In any case.
    Always,
    /// In no case.
    Never,
}

/// How an image archive is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// An OCI image layout.
    Oci,
    /// What `docker load` takes; it is an OCI image layout too.
    Docker,
}

/// Where an archive is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A file, replaced when the archive is whole.
    File(PathBuf),
    /// Standard output.
    Stdout,
}
