//! Ports that others are to listen on, or nobody.

use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering;

/// Of these the kernel gives none to who asks for any, and who connects has none.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A port on which nobody listens, and which no other test gets.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    // Other test programs begin elsewhere.
    let start = std::process::id().wrapping_mul(97);
    loop {
        let number = start.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed).into());
        let port = FIRST + u16::try_from(number % u32::from(COUNT)).unwrap();
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}
