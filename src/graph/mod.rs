//! The operations of a build and their order; pure.
//!
//! A [`Graph`] holds one vertex for each distinct [`Op`] on distinct inputs. Stages, variables,
//! shell forms and names are gone: an op carries all it needs, so that equal ops are equal work.
//! Nothing here runs anything, reads a file or knows a cache. Start reading at [`Op`].

mod canonical;
mod dag;
mod mount;
mod op;
mod pattern;
mod plan;
mod userinfo;

pub use canonical::Field;
pub use canonical::Value;
pub use dag::Graph;
pub use dag::Vertex;
pub use dag::VertexId;
pub use mount::CacheMount;
pub use mount::Mount;
pub use mount::MountKind;
pub use mount::SecretMount;
pub use mount::Sharing;
pub use op::ContextOp;
pub use op::CopyOp;
pub use op::CopySource;
pub use op::ExecOp;
pub use op::FileMode;
pub use op::GitOp;
pub use op::HttpOp;
pub use op::ImageOp;
pub use op::MkdirOp;
pub use op::Network;
pub use op::Op;
pub use op::Security;
pub use op::Ulimit;
pub use op::names_owner;
pub use op::owner_number;
pub use pattern::PatternError;
pub use pattern::Patterns;
pub use pattern::check_glob;
pub use pattern::clean_path;
pub use pattern::glob_matches;
pub use pattern::has_wildcards;
pub use plan::Plan;
pub use userinfo::mask_userinfo;
