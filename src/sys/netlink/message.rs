//! Messages of the kernel's networking, as bytes: a header, a structure that each kind of message
//! begins with, and attributes, which have a number, a length and a value and may hold others.

/// Every part begins at a multiple of this.
const ALIGNMENT: usize = 4;

/// Length, kind, flags, sequence and sender.
const HEADER_BYTES: usize = 16;

const ATTRIBUTE_HEADER_BYTES: usize = 4;

/// Marks an attribute that holds others.
const NESTED: u16 = 1 << 15;

/// The bits of an attribute's number that are no marks.
const NUMBER: u16 = (1 << 14) - 1;

/// What a sender asks for beside the message itself.
const REQUEST: u16 = 1;

/// Attributes, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    bytes: Vec<u8>,
}

impl Attributes {
    pub(super) fn new() -> Attributes {
        Attributes::default()
    }

    /// Adds one.
    pub(super) fn with(mut self, number: u16, value: &[u8]) -> Attributes {
        let length = ATTRIBUTE_HEADER_BYTES + value.len();
        let length = u16::try_from(length).expect("no attribute is that long");
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(number.to_ne_bytes());
        self.bytes.extend(value);
        pad(&mut self.bytes);
        self
    }

    /// Adds one that holds others.
    pub(super) fn with_nested(self, number: u16, inner: &Attributes) -> Attributes {
        self.with(number | NESTED, &inner.bytes)
    }

    /// Adds a text, which ends with NUL.
    pub(super) fn with_text(self, number: u16, text: &str) -> Attributes {
        self.with(number, &[text.as_bytes(), &[0]].concat())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A message to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// What it is called where a failure is told.
    pub(super) name: &'static str,
    kind: u16,
    flags: u16,
    body: Vec<u8>,
}

impl Message {
    /// Makes a message with what it begins with.
    pub(super) fn new(
        (name, kind): (&'static str, u16),
        flags: u16,
        begin: &[u8],
        attributes: &Attributes,
    ) -> Message {
        let mut body = begin.to_vec();
        pad(&mut body);
        body.extend(attributes.bytes());
        Message {
            name,
            kind,
            flags: REQUEST | flags,
            body,
        }
    }

    /// Says whether one of these flags is on it.
    pub(super) fn has(&self, flags: u16) -> bool {
        self.flags & flags != 0
    }

    /// Adds it to what is sent. The kernel answers to the `sequence`.
    pub(super) fn write(&self, sequence: u32, into: &mut Vec<u8>) {
        let length = HEADER_BYTES + self.body.len();
        let length = u32::try_from(length).expect("no message is that long");
        into.extend(length.to_ne_bytes());
        into.extend(self.kind.to_ne_bytes());
        into.extend(self.flags.to_ne_bytes());
        into.extend(sequence.to_ne_bytes());
        // The kernel knows who sends it.
        into.extend(0_u32.to_ne_bytes());
        into.extend(&self.body);
        pad(into);
    }
}

/// A message from the kernel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply<'a> {
    pub(super) kind: u16,
    pub(super) sequence: u32,
    pub(super) body: &'a [u8],
}

/// Takes apart what the kernel sent at once; what it does not hold to its own form ends it.
pub(super) fn replies(mut bytes: &[u8]) -> impl Iterator<Item = Reply<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
        let reply = Reply {
            kind: u16_at(bytes, 4)?,
            sequence: u32_at(bytes, 8)?,
            body: bytes.get(HEADER_BYTES..length)?,
        };
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some(reply)
    })
}

/// Takes attributes apart: the number and the value of each.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let number = u16_at(bytes, 2)? & NUMBER;
        let value = bytes.get(ATTRIBUTE_HEADER_BYTES..length)?;
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some((number, value))
    })
}

/// Finds the value of the first attribute of this number.
pub(super) fn find(bytes: &[u8], number: u16) -> Option<&[u8]> {
    let mut all = attributes(bytes);
    all.find_map(|(each, value)| (each == number).then_some(value))
}

/// Reads a text, which ends with NUL.
pub(super) fn text(value: &[u8]) -> Option<String> {
    let value = value.strip_suffix(&[0])?;
    Some(String::from_utf8_lossy(value).into_owned())
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let value = bytes.get(at..at + size_of::<u32>())?;
    Some(u32::from_ne_bytes(value.try_into().ok()?))
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let value = bytes.get(at..at + size_of::<u16>())?;
    Some(u16::from_ne_bytes(value.try_into().ok()?))
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(aligned(bytes.len()), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_aligned_and_hold_others() {
        let inner = Attributes::new().with_text(1, "eth0");
        let all = Attributes::new().with(7, &[1, 2]).with_nested(2, &inner);
        let word = |value: u16| value.to_ne_bytes();
        let mut expected = Vec::new();
        expected.extend([word(6), word(7)].concat());
        expected.extend([1, 2, 0, 0]);
        expected.extend([word(16), word(2 | 0x8000), word(9), word(1)].concat());
        expected.extend(b"eth0\0\0\0\0");
        assert_eq!(all.bytes(), expected);
        assert_eq!(find(all.bytes(), 7), Some(&[1, 2][..]));
        let nested = find(all.bytes(), 2).unwrap();
        assert_eq!(find(nested, 1), Some(&b"eth0\0"[..]));
        assert_eq!(find(all.bytes(), 3), None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let attributes_of = |value: &[u8]| Attributes::new().with(1, value);
        let first = Message::new(("A", 16), 4, &[9, 9], &attributes_of(b"xyz"));
        let second = Message::new(("B", 20), 0, &[], &Attributes::new());
        let mut bytes = Vec::new();
        first.write(5, &mut bytes);
        second.write(6, &mut bytes);
        let read: Vec<Reply<'_>> = replies(&bytes).collect();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].kind, read[0].sequence), (16, 5));
        assert_eq!(find(&read[0].body[4..], 1), Some(&b"xyz"[..]));
        assert_eq!((read[1].kind, read[1].sequence), (20, 6));
        assert!(first.has(4) && !second.has(4));
    }

    #[test]
    fn what_is_cut_off_ends_it() {
        let mut bytes = Vec::new();
        let message = Message::new(("A", 16), 0, &[0; 8], &Attributes::new());
        message.write(1, &mut bytes);
        assert_eq!(replies(&bytes[..bytes.len() - 1]).count(), 0);
        assert_eq!(replies(&[0; 64]).count(), 0);
        // An attribute shorter than its own header would never end.
        assert_eq!(attributes(&[0; 64]).count(), 0);
        assert_eq!(attributes(&[255, 255, 0, 0]).count(), 0);
    }
}
