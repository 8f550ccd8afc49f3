//! A user namespace that knows one user only: becoming another, and giving files to another, is
//! refused there. What installs packages does both: it need not become another, and whom it gives
//! files to is remembered by [`gift`](crate::sys::gift).

use std::os::fd::OwnedFd;

use crate::sys::Result;
use crate::sys::abi::ABIS;
use crate::sys::id_map::IdMap;
use crate::sys::notify;
use crate::sys::seccomp;
use crate::sys::seccomp::Instruction;
use crate::sys::seccomp::REFER;
use crate::sys::seccomp::SUCCEED;

/// Tells whether the user namespace knows one user only.
pub fn is_alone() -> bool {
    IdMap::own_users().count() == 1
}

/// Has calls that take another user succeed without being made, in this thread and all that comes
/// of it. Gives where calls arrive that give files away, for [`answer`](crate::sys::gift::answer);
/// nothing where none can be answered: then they succeed without being made, too.
pub fn pretend() -> Result<Option<OwnedFd>> {
    match notify::install(&program(REFER)) {
        Ok(listener) => Ok(Some(listener)),
        Err(_) => seccomp::install(&program(SUCCEED)).map(|()| None),
    }
}

/// Makes the filter; `gifts` is what calls that give files away are met with.
fn program(gifts: u32) -> Vec<Instruction> {
    seccomp::by_number(ABIS.map(|abi| {
        let users = abi.users.iter().map(|number| (*number, SUCCEED));
        let gifts = abi.gifts.iter().map(|call| (call.number, gifts));
        (abi.architecture, users.chain(gifts).collect())
    }))
}
