//! The Linux room: every system call, every `unsafe`, every path walk inside a root.
#![allow(
    unsafe_code,
    reason = "system calls that rustix does not wrap are made here and nowhere else"
)]
