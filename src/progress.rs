//! progress.
