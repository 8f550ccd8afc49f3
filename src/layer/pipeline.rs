//! Entries into a blob: pieces of the tar are read and compressed side by side, and digested and
//! written in order.

use std::collections::VecDeque;
use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc;

use libdeflater::CompressionLvl;
use libdeflater::Compressor;

use crate::layer::Compression;
use crate::layer::Earlier;
use crate::layer::Error;
use crate::layer::Extent;
use crate::layer::PackOptions;
use crate::layer::Packed;
use crate::layer::Piece;
use crate::layer::Result;
use crate::layer::compress::Encoder;
use crate::layer::cut::Cutter;
use crate::layer::cut::PIECE_MAX;
use crate::layer::gzip;
use crate::layer::header;
use crate::layer::item::Item;
use crate::layer::item::Reader;
use crate::oci::DiffId;
use crate::oci::Digester;

/// How many pieces may be under way for each thread, so that none waits for the writer.
const PIECES_PER_THREAD: usize = 2;

/// Takes the entries of a tar in order.
pub(super) struct Pipeline<W: Write> {
    cutter: Cutter,
    parts: Vec<Part>,
    under_way: VecDeque<mpsc::Receiver<Result<Work>>>,
    idle: Vec<Work>,
    limit: usize,
    manner: Manner,
    end: End<W>,
}

/// How a piece is made.
#[derive(Clone)]
struct Manner {
    /// The level of gzip; none if pieces are not compressed one by one.
    level: Option<CompressionLvl>,
    earlier: Option<Arc<Earlier>>,
}

/// What a piece of the tar consists of.
enum Part {
    Entry(Item),
    Header(Arc<Item>),
    /// So many bytes of a file from an offset.
    Content(Arc<Item>, (u64, u64)),
    /// What ends a tar.
    End,
}

/// A piece with all that making it needs, used again and again.
#[derive(Default)]
struct Work {
    tar: Vec<u8>,
    blob: Vec<u8>,
    piece: Option<Piece>,
    compressor: Option<Compressor>,
}

impl<W: Write> Pipeline<W> {
    pub(super) fn new(options: &PackOptions, out: W) -> Result<Self> {
        let level = match options.compression {
            Compression::Gzip { level } => Some(gzip::level(level).map_err(cannot_write)?),
            Compression::None | Compression::Zstd { .. } => None,
        };
        Ok(Self {
            cutter: Cutter::default(),
            parts: Vec::new(),
            under_way: VecDeque::new(),
            idle: Vec::new(),
            limit: PIECES_PER_THREAD * rayon::current_num_threads(),
            manner: Manner {
                level,
                earlier: options.earlier.clone(),
            },
            end: End {
                digester: Digester::new(),
                size: 0,
                pieces: Vec::new(),
                encoder: Encoder::new(options.compression, out).map_err(cannot_write)?,
            },
        })
    }

    /// Takes the next entry.
    pub(super) fn add(&mut self, item: Item) -> Result<()> {
        let is_large = item.has_content() && item.header.size > PIECE_MAX;
        if is_large {
            return self.add_large(Arc::new(item));
        }
        if self.cutter.ends_before(&item) {
            self.cut()?;
        }
        self.parts.push(Part::Entry(item));
        Ok(())
    }

    /// Ends the tar and writes what is left.
    pub(super) fn finish(mut self, extent: Extent) -> Result<Packed> {
        self.parts.push(Part::End);
        self.cut()?;
        while !self.under_way.is_empty() {
            self.write_oldest()?;
        }
        self.end.finish(extent)
    }

    /// A large file begins a piece, and the entries after it go on in its last one.
    fn add_large(&mut self, item: Arc<Item>) -> Result<()> {
        self.parts.push(Part::Header(Arc::clone(&item)));
        let size = item.header.size;
        let mut offset = 0;
        while offset < size {
            self.cut()?;
            let length = PIECE_MAX.min(size - offset);
            self.parts
                .push(Part::Content(Arc::clone(&item), (offset, length)));
            self.cutter.restart(length);
            offset += length;
        }
        Ok(())
    }

    /// Begins to make a piece of the parts at hand, once there is room.
    fn cut(&mut self) -> Result<()> {
        if self.under_way.len() >= self.limit {
            self.write_oldest()?;
        }
        let parts = std::mem::take(&mut self.parts);
        let mut work = self.idle.pop().unwrap_or_default();
        let manner = self.manner.clone();
        let (done, receiver) = mpsc::sync_channel(1);
        rayon::spawn(move || {
            let made = work.make(&parts, &manner);
            // Nobody listens any more if another piece failed meanwhile.
            let _ = done.send(made.map(|()| work));
        });
        self.under_way.push_back(receiver);
        Ok(())
    }

    fn write_oldest(&mut self) -> Result<()> {
        let Some(receiver) = self.under_way.pop_front() else {
            return Ok(());
        };
        let work = wait(&receiver)??;
        self.end.take(&work)?;
        self.idle.push(work);
        Ok(())
    }
}

/// Waits for a piece. On a thread that makes pieces itself, this helps with those under way: they
/// may wait for nobody else.
fn wait(receiver: &mpsc::Receiver<Result<Work>>) -> Result<Result<Work>> {
    while let Some(rayon::Yield::Executed) = rayon::yield_now() {
        if let Ok(work) = receiver.try_recv() {
            return Ok(work);
        }
    }
    let received = receiver.recv();
    received.map_err(|ended| cannot_write(io::Error::other(ended)))
}

impl Work {
    fn make(&mut self, parts: &[Part], manner: &Manner) -> Result<()> {
        self.tar.clear();
        self.blob.clear();
        let mut reader = Reader::default();
        for part in parts {
            match part {
                Part::Entry(item) => reader.entry(item, &mut self.tar)?,
                Part::Header(item) => drop(reader.header(item, &mut self.tar)?),
                Part::Content(item, part) => reader.part(item, *part, &mut self.tar)?,
                // Two empty blocks end a tar.
                Part::End => self.tar.resize(self.tar.len() + 2 * header::BLOCK, 0),
            }
        }
        if let Some(level) = manner.level {
            self.compress(level, manner.earlier.as_deref());
        }
        Ok(())
    }

    fn compress(&mut self, level: CompressionLvl, earlier: Option<&Earlier>) {
        let tar = *blake3::hash(&self.tar).as_bytes();
        self.piece = earlier.and_then(|earlier| earlier.read(&tar, &mut self.blob));
        if self.piece.is_some() {
            return;
        }
        let compressor = self
            .compressor
            .get_or_insert_with(|| Compressor::new(level));
        gzip::compress(compressor, &self.tar, &mut self.blob);
        self.piece = Some(Piece {
            tar,
            blob: *blake3::hash(&self.blob).as_bytes(),
            length: u32::try_from(self.blob.len()).expect("a piece is smaller than 4 GiB"),
        });
    }
}

/// Where pieces come together in order.
struct End<W: Write> {
    digester: Digester,
    size: u64,
    pieces: Vec<Piece>,
    encoder: Encoder<W>,
}

impl<W: Write> End<W> {
    fn take(&mut self, work: &Work) -> Result<()> {
        self.digester.update(&work.tar);
        self.size += work.tar.len() as u64;
        self.pieces.extend(work.piece);
        self.encoder
            .write(&work.tar, &work.blob)
            .map_err(cannot_write)
    }

    fn finish(self, extent: Extent) -> Result<Packed> {
        self.encoder.finish().map_err(cannot_write)?;
        Ok(Packed {
            diff_id: DiffId(self.digester.finish()),
            diff_size: self.size,
            pieces: self.pieces,
            extent,
        })
    }
}

fn cannot_write(source: io::Error) -> Error {
    Error::WriteBlob { source }
}
