//! What comes from elsewhere: base images, files of web servers, git repositories.
//!
//! Each has a file of its own, with what it is fetched by ([`secrets`]) and how to look into what
//! was fetched ([`inside`]).

pub(super) mod git;
pub(super) mod http;
pub(super) mod image;
mod inside;
mod secrets;

pub use self::git::Fetching;
pub use self::git::check_out;
pub use self::inside::open_inside;
pub use self::inside::resolve_inside;
pub use self::secrets::http_authorization;
pub use self::secrets::without_secrets;
