//! The messages of a table. What a rule looks at it loads into a register first, where the next part
//! compares it.

use std::net::Ipv4Addr;

use crate::sys::netlink::ACKNOWLEDGE;
use crate::sys::netlink::MAKE;
use crate::sys::netlink::message::Attributes;
use crate::sys::netlink::message::Message;
use crate::sys::netlink::message::attributes;
use crate::sys::netlink::message::find;

use super::Chain;
use super::Part;
use super::Place;

/// What all messages begin with: a family, a version, and a number in the order of the network.
pub(super) const BEGIN_BYTES: usize = 4;

/// Messages that are done together or not at all stand between these.
const BEGIN: (&str, u16) = ("NFNL_MSG_BATCH_BEGIN", 16);
const END: (&str, u16) = ("NFNL_MSG_BATCH_END", 17);

const NEW_TABLE: (&str, u16) = ("NFT_MSG_NEWTABLE", of_filter(0));
const DELETE_TABLE: (&str, u16) = ("NFT_MSG_DELTABLE", of_filter(2));
const NEW_CHAIN: (&str, u16) = ("NFT_MSG_NEWCHAIN", of_filter(3));
const NEW_RULE: (&str, u16) = ("NFT_MSG_NEWRULE", of_filter(6));
const GET_RULE: (&str, u16) = ("NFT_MSG_GETRULE", of_filter(7));
/// A new rule comes behind the others.
const BEHIND: u16 = 0x800;

const TABLE_NAME: u16 = 1;
const TABLE_FLAGS: u16 = 2;
/// The table belongs to the line by which it is made.
const OWNED: u32 = 2;

pub(super) const CHAIN_TABLE: u16 = 1;
pub(super) const CHAIN_NAME: u16 = 3;
pub(super) const CHAIN_HOOK: u16 = 4;
const CHAIN_TYPE: u16 = 7;
pub(super) const HOOK_NUMBER: u16 = 1;
pub(super) const HOOK_PRIORITY: u16 = 2;

const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_PARTS: u16 = 4;
const LIST_ELEMENT: u16 = 1;
const PART_NAME: u16 = 1;
const PART_DATA: u16 = 2;
const COUNTER_PACKETS: u16 = 2;
const COUNTER: &str = "counter";

const REGISTER: [u8; 4] = 1_u32.to_be_bytes();
const VERDICT_REGISTER: [u8; 4] = [0; 4];
const VALUE: u16 = 1;
const VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const DROP: u32 = 0;

const EQUAL: u32 = 0;
const UNEQUAL: u32 = 1;

/// Facts about a packet that are not in it.
const META_CAME_BY: u32 = 4;
const META_GOES_BY: u32 = 5;
const META_FAMILY: u32 = 15;
const META_PROTOCOL: u32 = 16;
const CONNECTION_STATE: u32 = 0;
/// The states "established" and "related".
const KNOWN_STATES: u32 = 2 | 4;
/// These, and "new". What rules exempt from being known is "untracked", or "invalid".
const TRACKED_STATES: u32 = KNOWN_STATES | 8;

/// Where a header is, and at which of its bytes are the sender, the receiver and the port.
const IP_HEADER: u32 = 1;
const UDP_HEADER: u32 = 2;
const SENDER_AT: u32 = 12;
const RECEIVER_AT: u32 = 16;
const PORT_AT: u32 = 2;

pub(super) const fn of_filter(message: u16) -> u16 {
    const SUBSYSTEM: u16 = 10;
    SUBSYSTEM << 8 | message
}

/// Writes all that makes a table.
pub(super) fn table(name: &str, chains: &[Chain<'_>]) -> Vec<Message> {
    let named = Attributes::new()
        .with_text(TABLE_NAME, name)
        .with(TABLE_FLAGS, &OWNED.to_be_bytes());
    let mut messages = vec![frame(BEGIN), message(NEW_TABLE, ACKNOWLEDGE | MAKE, &named)];
    for chain in chains {
        let made = self::chain(name, chain);
        messages.push(message(NEW_CHAIN, ACKNOWLEDGE | MAKE, &made));
        for parts in chain.rules {
            let rule = rule((name, chain.name), parts);
            messages.push(message(NEW_RULE, ACKNOWLEDGE | MAKE | BEHIND, &rule));
        }
    }
    messages.push(frame(END));
    messages
}

/// Writes all that removes a table.
pub(super) fn remove(name: &str) -> [Message; 3] {
    let named = Attributes::new().with_text(TABLE_NAME, name);
    let remove = message(DELETE_TABLE, ACKNOWLEDGE, &named);
    [frame(BEGIN), remove, frame(END)]
}

/// Asks for the rules of a table.
pub(super) fn list(name: &str, flags: u16) -> Message {
    let named = Attributes::new().with_text(RULE_TABLE, name);
    message(GET_RULE, flags, &named)
}

/// Finds the counters in a rule that the kernel told of.
pub(super) fn counts(rule: &[u8]) -> Vec<u64> {
    let parts = rule.get(BEGIN_BYTES..).and_then(|it| find(it, RULE_PARTS));
    let count = |part: &[u8]| {
        let name = find(part, PART_NAME)?.strip_suffix(&[0])?;
        let data = (name == COUNTER.as_bytes()).then(|| find(part, PART_DATA))??;
        let packets = find(data, COUNTER_PACKETS)?;
        Some(u64::from_be_bytes(packets.try_into().ok()?))
    };
    let parts = attributes(parts.unwrap_or_default());
    parts.filter_map(|(_, part)| count(part)).collect()
}

fn frame(kind: (&'static str, u16)) -> Message {
    // The number names what the messages between are about.
    let [_, subsystem] = of_filter(0).to_le_bytes();
    Message::new(kind, 0, &[0, 0, 0, subsystem], &Attributes::new())
}

fn message(kind: (&'static str, u16), flags: u16, attributes: &Attributes) -> Message {
    let family = u8::try_from(libc::NFPROTO_INET).expect("family 1");
    Message::new(kind, flags, &[family, 0, 0, 0], attributes)
}

fn chain(table: &str, chain: &Chain<'_>) -> Attributes {
    let kind = match chain.place {
        Place::In | Place::Through | Place::Out => "filter",
        Place::Translation => "nat",
    };
    let hook = Attributes::new()
        .with(HOOK_NUMBER, &hook_number(chain.place).to_be_bytes())
        .with(HOOK_PRIORITY, &chain.priority.to_be_bytes());
    Attributes::new()
        .with_text(CHAIN_TABLE, table)
        .with_text(CHAIN_NAME, chain.name)
        .with_nested(CHAIN_HOOK, &hook)
        .with_text(CHAIN_TYPE, kind)
}

pub(super) fn hook_number(place: Place) -> u32 {
    let number = match place {
        Place::In => libc::NF_INET_PRE_ROUTING,
        Place::Through => libc::NF_INET_FORWARD,
        Place::Out | Place::Translation => libc::NF_INET_POST_ROUTING,
    };
    number.cast_unsigned()
}

fn rule((table, chain): (&str, &str), parts: &[Part]) -> Attributes {
    let elements = parts.iter().flat_map(|part| expressions(*part));
    let parts = elements.fold(Attributes::new(), |all, element| {
        all.with_nested(LIST_ELEMENT, &element)
    });
    Attributes::new()
        .with_text(RULE_TABLE, table)
        .with_text(RULE_CHAIN, chain)
        .with_nested(RULE_PARTS, &parts)
}

fn expressions(part: Part) -> Vec<Attributes> {
    let ipv4 = u8::try_from(libc::NFPROTO_IPV4).expect("family 2");
    let udp = u8::try_from(libc::IPPROTO_UDP).expect("protocol 17");
    let loopback = Ipv4Addr::LOCALHOST.octets();
    let number = |link: u32| link.to_ne_bytes();
    match part {
        Part::CameBy(link) => vec![meta(META_CAME_BY), compare(EQUAL, &number(link))],
        Part::GoesBy(link) => vec![meta(META_GOES_BY), compare(EQUAL, &number(link))],
        Part::IsIpv4 => vec![meta(META_FAMILY), compare(EQUAL, &[ipv4])],
        Part::IsNotIpv4 => vec![meta(META_FAMILY), compare(UNEQUAL, &[ipv4])],
        Part::IsFrom(address) => vec![
            bytes(IP_HEADER, SENDER_AT, 4),
            compare(EQUAL, &address.octets()),
        ],
        Part::IsNotFrom(address) => vec![
            bytes(IP_HEADER, SENDER_AT, 4),
            compare(UNEQUAL, &address.octets()),
        ],
        Part::IsTo(address) => vec![
            bytes(IP_HEADER, RECEIVER_AT, 4),
            compare(EQUAL, &address.octets()),
        ],
        Part::IsToLoopback => vec![
            bytes(IP_HEADER, RECEIVER_AT, 1),
            compare(EQUAL, &loopback[..1]),
        ],
        Part::IsUdpTo(port) => vec![
            meta(META_PROTOCOL),
            compare(EQUAL, &[udp]),
            bytes(UDP_HEADER, PORT_AT, 2),
            compare(EQUAL, &port.to_be_bytes()),
        ],
        Part::IsFirst => vec![
            named("ct", &[&REGISTER, &CONNECTION_STATE.to_be_bytes()]),
            mask(KNOWN_STATES),
            compare(EQUAL, &number(0)),
        ],
        Part::IsTracked => vec![
            named("ct", &[&REGISTER, &CONNECTION_STATE.to_be_bytes()]),
            mask(TRACKED_STATES),
            compare(UNEQUAL, &number(0)),
        ],
        Part::Count => vec![named(COUNTER, &[])],
        Part::Drop => vec![drop_it()],
        Part::Masquerade => vec![named("masq", &[])],
    }
}

/// Writes a part; what it is told is numbered from 1 on.
fn named(name: &str, told: &[&[u8]]) -> Attributes {
    let data = (1..)
        .zip(told)
        .fold(Attributes::new(), |all, (number, value)| {
            all.with(number, value)
        });
    let part = Attributes::new().with_text(PART_NAME, name);
    part.with_nested(PART_DATA, &data)
}

/// Loads a fact about the packet.
fn meta(key: u32) -> Attributes {
    named("meta", &[&REGISTER, &key.to_be_bytes()])
}

/// Loads bytes of the packet.
fn bytes(header: u32, at: u32, count: u32) -> Attributes {
    let [header, at, count] = [header, at, count].map(u32::to_be_bytes);
    named("payload", &[&REGISTER, &header, &at, &count])
}

/// Keeps some bits of what is loaded.
fn mask(bits: u32) -> Attributes {
    let length = (u32::BITS / u8::BITS).to_be_bytes();
    let (kept, flipped) = (value(&bits.to_ne_bytes()), value(&[0; 4]));
    let told: [&[u8]; 5] = [&REGISTER, &REGISTER, &length, kept.bytes(), flipped.bytes()];
    named("bitwise", &told)
}

/// Compares what is loaded.
fn compare(how: u32, with: &[u8]) -> Attributes {
    let (how, with) = (how.to_be_bytes(), value(with));
    named("cmp", &[&REGISTER, &how, with.bytes()])
}

fn drop_it() -> Attributes {
    let code = Attributes::new().with(VERDICT_CODE, &DROP.to_be_bytes());
    let verdict = Attributes::new().with_nested(VERDICT, &code);
    named("immediate", &[&VERDICT_REGISTER, verdict.bytes()])
}

fn value(bytes: &[u8]) -> Attributes {
    Attributes::new().with(VALUE, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part as nft sends it: its name, and what it is told.
    fn part(name: &[u8], told: &[&[u8]]) -> Vec<u8> {
        let told = told.concat();
        let padded = name.len().next_multiple_of(4);
        let mut part = Vec::new();
        let length = u16::try_from(8 + padded + 4 + told.len()).unwrap();
        part.extend([length.to_ne_bytes(), 0x8001_u16.to_ne_bytes()].concat());
        let length = u16::try_from(4 + name.len()).unwrap();
        part.extend([length.to_ne_bytes(), 1_u16.to_ne_bytes()].concat());
        part.extend(name);
        part.resize(8 + padded, 0);
        let length = u16::try_from(4 + told.len()).unwrap();
        part.extend([length.to_ne_bytes(), 0x8002_u16.to_ne_bytes()].concat());
        part.extend(told);
        part
    }

    #[test]
    fn a_rule_is_what_nft_makes_of_it() {
        // ip daddr 127.0.0.0/8 drop
        let rule = rule(("t", "c"), &[Part::IsToLoopback, Part::Drop]);
        let parts = find(rule.bytes(), RULE_PARTS).unwrap();
        let number = |at: u8, value: u8| [8, 0, at, 0, 0, 0, 0, value];
        let payload = [number(1, 1), number(2, 1), number(3, 16), number(4, 1)];
        let value = [12, 0, 3, 0, 5, 0, 1, 0, 127, 0, 0, 0];
        let verdict = [16, 0, 2, 0, 12, 0, 2, 128, 8, 0, 1, 0, 0, 0, 0, 0];
        let expected = [
            part(b"payload\0", &[payload.as_flattened()]),
            part(b"cmp\0", &[&number(1, 1), &number(2, 0), &value]),
            part(b"immediate\0", &[&number(1, 0), &verdict]),
        ];
        assert_eq!(parts, expected.concat());
    }

    #[test]
    fn counters_are_found_among_the_parts_of_a_rule() {
        let told = |packets: u64| {
            let bytes = Attributes::new().with(1, &700_u64.to_be_bytes());
            let data = bytes.with(COUNTER_PACKETS, &packets.to_be_bytes());
            let part = Attributes::new().with_text(PART_NAME, COUNTER);
            part.with_nested(PART_DATA, &data)
        };
        let parts = Attributes::new()
            .with_nested(LIST_ELEMENT, &meta(META_FAMILY))
            .with_nested(LIST_ELEMENT, &told(5))
            .with_nested(LIST_ELEMENT, &told(1 << 40));
        let rule = Attributes::new()
            .with_text(RULE_TABLE, "t")
            .with_nested(RULE_PARTS, &parts);
        let message = [&[0; BEGIN_BYTES], rule.bytes()].concat();
        assert_eq!(counts(&message), [5, 1 << 40]);
        assert_eq!(counts(&[]), [] as [u64; 0]);
    }

    #[test]
    fn a_table_is_made_at_once_and_belongs_to_its_maker() {
        let rules = [&[Part::Count][..], &[Part::Drop]];
        let chain = Chain {
            name: "c",
            place: Place::In,
            priority: -350,
            rules: &rules,
        };
        let made = table("t", &[chain]);
        let names: Vec<&str> = made.iter().map(|message| message.name).collect();
        let (rule, chain) = (NEW_RULE.0, NEW_CHAIN.0);
        assert_eq!(names, [BEGIN.0, NEW_TABLE.0, chain, rule, rule, END.0]);
        let owned = Attributes::new()
            .with_text(TABLE_NAME, "t")
            .with(TABLE_FLAGS, &[0, 0, 0, 2]);
        assert_eq!(made[1], message(NEW_TABLE, ACKNOWLEDGE | MAKE, &owned));
    }
}
