//! What the inside tells the outside before the program runs.

use std::path::Path;

use serde::Deserialize;
use serde::Serialize;

use crate::sandbox::inside::stub::Stubs;
use crate::sandbox::rootless::unmapped;
use crate::sys;
use crate::sys::id_map::IdMap;

/// A message from the inside. After `Ready` the line closes when the program was executed, or
/// `Failed` follows.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::sandbox) enum Report {
    /// All is set up; the user's end of the terminal, if there is one, comes with this.
    Ready,
    /// Calls that give files away arrive at the file that comes with this.
    Gifts,
    /// Calls that look up a path arrive at the file that comes with this.
    Lookups {
        /// Whether devices could not be made.
        lacks_devices: bool,
    },
    /// It goes without this.
    Lacks(Lack),
    /// These mount points were made and are to be removed afterwards.
    Stubs(Stubs),
    /// The sandbox could not be made.
    Failed {
        /// What was being done.
        step: String,
        /// Why it failed.
        problem: Problem,
    },
}

/// What a sandbox goes without, for its user to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) enum Lack {
    /// Devices, which could not be made and which nobody opens for it.
    Devices,
    /// The user that it was to be, of whom the user namespace does not know.
    User,
}

impl Lack {
    /// Says what it costs, and what gains it.
    pub(in crate::sandbox) fn note(self) -> String {
        match self {
            Lack::Devices => "there are commands without devices, since none can be made (CAP_MKNOD): what is written to \
                              /dev/null can be read again, and /dev/zero, /dev/full, /dev/random and /dev/urandom \
                              cannot be opened (docker or podman run --cap-add MKNOD; see `rbuild doctor`)"
                .to_owned(),
            Lack::User => {
                let because = unmapped::why(&IdMap::own_users()).because;
                format!("commands of other users run as root, since {because} (see `rbuild doctor`)")
            }
        }
    }
}

/// Why a step failed.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::sandbox) enum Problem {
    /// The kernel refused a call.
    Call { call: String, errno: i32 },
    /// A path leads nowhere in the root file system, and what is there is in the way of making it.
    Place { path: String, errno: i32 },
    /// `/etc/passwd` has no such user, and it is no number.
    UnknownUser { user: String },
    /// `/etc/group` has no such group, and it is no number.
    UnknownGroup { group: String },
    /// No such capability, ulimit or other name exists.
    UnknownName { name: String },
    /// The program does not exist.
    ProgramNotFound { program: String },
    /// The program exists but cannot be executed.
    ProgramNotExecutable { program: String, errno: i32 },
}

impl Problem {
    /// Tells why a place in the root file system can be neither found nor made: what the image has
    /// there, or the machine.
    pub(in crate::sandbox) fn at(path: &Path, error: sys::Error) -> Problem {
        match error.is_of_path() {
            true => Problem::Place {
                path: path.to_string_lossy().into_owned(),
                errno: error.errno(),
            },
            false => error.into(),
        }
    }
}

impl From<sys::Error> for Problem {
    fn from(error: sys::Error) -> Problem {
        Problem::Call {
            call: error.call().to_owned(),
            errno: error.errno(),
        }
    }
}
