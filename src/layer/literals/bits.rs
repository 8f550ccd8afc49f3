//! Bits into bytes, the low ones first.

use crate::layer::literals::huffman::Code;

/// Bits on their way into a buffer.
pub(super) struct Bits<'a> {
    out: &'a mut Vec<u8>,
    /// Where in `out` the next byte goes; what lies behind is to be written over.
    at: usize,
    waiting: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// Begins after what is in `out`.
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        let at = out.len();
        Self {
            out,
            at,
            waiting: 0,
            count: 0,
        }
    }

    /// Makes room for so many bytes.
    pub(super) fn reserve(&mut self, bytes: usize) {
        let needed = self.at + bytes;
        if self.out.len() < needed {
            self.out.resize(needed, 0);
        }
    }

    /// Adds a code, for which there must be room until the next [`flush`](Self::flush): up to 56
    /// bits.
    pub(super) fn add(&mut self, code: Code) {
        self.waiting |= u64::from(code.bits) << self.count;
        self.count += u32::from(code.length);
    }

    /// Moves whole bytes into the buffer, which must have room for eight.
    pub(super) fn flush(&mut self) {
        self.out[self.at..self.at + 8].copy_from_slice(&self.waiting.to_le_bytes());
        let bytes = self.count / 8;
        self.at += bytes as usize;
        self.waiting >>= bytes * 8;
        self.count %= 8;
    }

    /// Adds a code and makes room for the next.
    pub(super) fn put_code(&mut self, code: Code) {
        self.put(code.bits.into(), code.length.into());
    }

    /// Adds up to 32 bits of a number.
    pub(super) fn put(&mut self, number: u64, bits: u32) {
        self.reserve(8);
        self.waiting |= number << self.count;
        self.count += bits;
        self.flush();
    }

    /// Adds bytes as they are, as the content of a block; RFC 1951, 3.2.4.
    pub(super) fn put_bytes(&mut self, bytes: &[u8]) {
        self.align();
        let length = u16::try_from(bytes.len()).expect("a block is no longer than that");
        self.out.truncate(self.at);
        self.out.extend_from_slice(&length.to_le_bytes());
        self.out.extend_from_slice(&(!length).to_le_bytes());
        self.out.extend_from_slice(bytes);
        self.at = self.out.len();
    }

    /// Fills up the last byte and leaves nothing behind it.
    pub(super) fn finish(mut self) {
        self.align();
        self.out.truncate(self.at);
    }

    fn align(&mut self) {
        self.put(0, self.count.wrapping_neg() % 8);
    }
}
