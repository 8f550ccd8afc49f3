//! The remote room.
