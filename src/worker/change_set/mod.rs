//! Change sets: those of an input opened as one tree, that of an instruction kept and digested, and
//! one packed into a layer.
//!
//! Start reading at [`Tree::open`], then [`commit()`] and [`pack()`].

mod commit;
mod pack;
mod pieces;
mod tree;

pub(super) use self::commit::began;
pub(super) use self::commit::commit;
pub(super) use self::pack::EmptyLayer;
pub(super) use self::pack::pack;
pub(super) use self::pack::write;
pub(super) use self::tree::Tree;
pub(super) use self::tree::context_path;
pub(super) use self::tree::is_whole;
pub(super) use self::tree::layer_id;
pub(super) use self::tree::whole;
