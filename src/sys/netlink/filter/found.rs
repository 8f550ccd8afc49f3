//! The chains that are there, whoever made them.

use rustix::net::netlink;

use crate::sys::Result;
use crate::sys::netlink::ALL;
use crate::sys::netlink::Socket;
use crate::sys::netlink::message::Attributes;
use crate::sys::netlink::message::Message;
use crate::sys::netlink::message::find;
use crate::sys::netlink::message::text;

use super::Place;
use super::encode;
use super::encode::BEGIN_BYTES;

const GET_CHAIN: (&str, u16) = ("NFT_MSG_GETCHAIN", encode::of_filter(4));

/// A chain that sees packets of IPv4 at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The family of its table, as nft calls it.
    pub family: &'static str,
    /// The name of its table.
    pub table: String,
    /// Its own.
    pub name: String,
    /// Chains at one place come in the order of these.
    pub priority: i32,
}

/// Finds the chains that see packets at a place, on the network that this thread is on.
pub fn chains_at(place: Place) -> Result<Vec<Found>> {
    let mut socket = Socket::open(Some(netlink::NETFILTER))?;
    // No family: of all.
    let begin = [0; BEGIN_BYTES];
    let list = Message::new(GET_CHAIN, ALL, &begin, &Attributes::new());
    let told = socket.ask(&[list])?;
    Ok(told.iter().filter_map(|told| found(told, place)).collect())
}

/// Takes apart what the kernel told of a chain, if it is at that place.
fn found(told: &[u8], place: Place) -> Option<Found> {
    let family = match i32::from(*told.first()?) {
        libc::NFPROTO_INET => "inet",
        libc::NFPROTO_IPV4 => "ip",
        _ => return None,
    };
    let told = told.get(BEGIN_BYTES..)?;
    let hook = find(told, encode::CHAIN_HOOK)?;
    let number = |at| Some(u32::from_be_bytes(find(hook, at)?.try_into().ok()?));
    (number(encode::HOOK_NUMBER)? == encode::hook_number(place)).then_some(())?;
    Some(Found {
        family,
        table: find(told, encode::CHAIN_TABLE).and_then(text)?,
        name: find(told, encode::CHAIN_NAME).and_then(text)?,
        priority: number(encode::HOOK_PRIORITY)?.cast_signed(),
    })
}
