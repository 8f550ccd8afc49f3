//! Files: which of them are meant, what they digest to, and how they are put into a root filesystem.
//!
//! What `COPY`, bind mounts, checkouts and written root filesystems have in common. It knows no
//! operation and no worker. Start reading at [`select()`], then [`place()`].

mod digest;
mod filter;
mod manner;
mod mode;
mod owner;
mod place;
mod read;
mod select;
pub(super) mod xattr;

pub(super) use self::digest::digest;
pub(super) use self::digest::kind_name;
pub(super) use self::manner::Manner;
pub(super) use self::owner::look_up;
pub(super) use self::owner::warn_unknown;
pub(super) use self::place::make_dirs;
pub(super) use self::place::place;
pub(super) use self::select::Node;
pub(super) use self::select::Selected;
pub(super) use self::select::Wish;
pub(super) use self::select::select;
