//! Gzip by blocks, compressed side by side.
//!
//! Each block becomes a gzip member of its own: RFC 1952 allows many members in a file, and readers
//! of layers (Go, GNU gzip, zlib) take them as one. Where a block ends depends on the tar alone, so
//! the blob's bytes do not depend on the number of threads.

use std::collections::VecDeque;
use std::io;
use std::io::Write;
use std::sync::mpsc;

use libdeflater::CompressionLvl;
use libdeflater::Compressor;
use libdeflater::Crc;

use crate::layer::compress::BLOCK;
use crate::layer::compress::Blob;

/// RFC 1952: magic, deflate, no flags, no time, no hint about the level, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// How many blocks may be under way for each thread, so that none waits for the writer.
const BLOCKS_PER_THREAD: usize = 2;

/// Writes gzip members in order while later ones are compressed.
pub(super) struct Gzip<W: Write> {
    out: Blob<W>,
    level: CompressionLvl,
    under_way: VecDeque<mpsc::Receiver<Block>>,
    idle: Vec<Block>,
    limit: usize,
}

/// A block with all that its compression needs, used again and again.
struct Block {
    input: Vec<u8>,
    output: Vec<u8>,
    compressor: Compressor,
}

impl<W: Write> Gzip<W> {
    pub(super) fn new(level: u8, out: Blob<W>) -> io::Result<Self> {
        let level = CompressionLvl::new(level.into()).map_err(|_| {
            let text = format!("gzip has levels from 1 to 12, not {level}");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?;
        Ok(Self {
            out,
            level,
            under_way: VecDeque::new(),
            idle: Vec::new(),
            limit: BLOCKS_PER_THREAD * rayon::current_num_threads(),
        })
    }

    /// Takes a block and gives back an empty buffer, once there is room.
    pub(super) fn write(&mut self, input: Vec<u8>) -> io::Result<Vec<u8>> {
        if self.under_way.len() >= self.limit {
            self.write_oldest()?;
        }
        let mut block = self.idle.pop().unwrap_or_else(|| Block {
            input: Vec::with_capacity(BLOCK),
            output: Vec::new(),
            compressor: Compressor::new(self.level),
        });
        let empty = std::mem::replace(&mut block.input, input);
        let (done, receiver) = mpsc::sync_channel(1);
        rayon::spawn(move || {
            block.compress();
            // Nobody listens any more if the writing failed meanwhile.
            let _ = done.send(block);
        });
        self.under_way.push_back(receiver);
        Ok(empty)
    }

    pub(super) fn finish(mut self) -> io::Result<Blob<W>> {
        while !self.under_way.is_empty() {
            self.write_oldest()?;
        }
        Ok(self.out)
    }

    fn write_oldest(&mut self) -> io::Result<()> {
        let Some(receiver) = self.under_way.pop_front() else {
            return Ok(());
        };
        let block = wait(&receiver)?;
        self.out.write_all(&block.output)?;
        self.idle.push(block);
        Ok(())
    }
}

/// Waits for a block. On a thread that compresses blocks itself, this helps with those under way:
/// they may wait for nobody else.
fn wait(receiver: &mpsc::Receiver<Block>) -> io::Result<Block> {
    while let Some(rayon::Yield::Executed) = rayon::yield_now() {
        if let Ok(block) = receiver.try_recv() {
            return Ok(block);
        }
    }
    receiver.recv().map_err(io::Error::other)
}

impl Block {
    fn compress(&mut self) {
        let bound = self.compressor.deflate_compress_bound(self.input.len());
        self.output.clear();
        self.output.extend_from_slice(&HEADER);
        self.output.resize(HEADER.len() + bound, 0);
        let body = &mut self.output[HEADER.len()..];
        let length = self.compressor.deflate_compress(&self.input, body);
        let length = length.expect("the buffer has the size the library asks for");
        self.output.truncate(HEADER.len() + length);
        let mut crc = Crc::new();
        crc.update(&self.input);
        let size = u32::try_from(self.input.len()).expect("a block is smaller than 4 GiB");
        self.output.extend_from_slice(&crc.sum().to_le_bytes());
        self.output.extend_from_slice(&size.to_le_bytes());
        self.input.clear();
    }
}
