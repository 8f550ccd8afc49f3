//! rbuild turns a Dockerfile into an OCI image without a daemon.
//!
//! Text becomes a graph of operations; the graph is solved in parallel, each operation in its own
//! Linux sandbox; what was done before is found again by its key; the result is an OCI image in a
//! layout, an archive or a registry.
//!
//! # Four ideas
//!
//! 1. *A change set has two bodies.* What an instruction did is a change set: it can stand on disk
//!    as a directory (a **snapshot**, for mounting) or as a tar blob (a **layer**, for images).
//!    Either is made from the other, only when someone asks.
//! 2. *Nothing waits for the end.* A finished vertex of the exported chain is packed, compressed
//!    and hashed while later vertices run. The manifest comes last.
//! 3. *A warm build touches almost nothing.* No daemon, no network, no database, no thread pool.
//! 4. *Equal work is the same work.* Definition keys first; then, whenever inputs exist, content
//!    keys.
//!
//! # Rooms and arrows
//!
//! A room is a folder under `src/`; its `mod.rs` is its door. Rooms are listed below from the
//! street down to the ground. A room imports only rooms of lower floors, and only those named in
//! `tests/it/architecture.rs`, which fails on any other arrow. The rooms inside [`worker`] keep to
//! the same.
//!
//! Three rooms tell stories from top to bottom and leave the work to the rooms below: [`build`] (a
//! Dockerfile becomes an image), [`run`] (an image becomes a process), and [`manage`] (images
//! between builds: list, name, fetch, send, forget). [`cli`] turns arguments into their requests.
//!
//! # Words
//!
//! **stage** (a `FROM` block), **instruction** (a line), **op** (a unit of work), **vertex** (an op
//! in the graph), **input** (an edge to a vertex), **lower** (instructions to ops), **solve**,
//! **mark**, **cache key**, **record** (what a vertex left behind), **snapshot** (a change set as a
//! directory), **layer** (a change set as a tar blob), **sandbox** (an isolated process),
//! **digest** (sha256 of stored bytes), **diff id** (sha256 of the uncompressed tar).

pub mod cli;

pub mod build;
pub mod manage;
pub mod run;

pub mod worker;

pub mod solver;

pub mod cache;
pub mod export;

pub mod dockerfile;
pub mod remote;
pub mod snapshot;

pub mod graph;
pub mod layer;
pub mod sandbox;
pub mod store;

pub mod oci;
pub mod progress;
pub mod sys;
