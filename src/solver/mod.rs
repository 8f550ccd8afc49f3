//! The solver room.
