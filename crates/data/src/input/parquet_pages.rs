//! Checks that no compressed page of a Parquet file holds more than its header states.
//!
//! The decoder trusts that of GZIP, BROTLI and LZ4 pages: a page of a kilobyte could fill the memory. Each such page is
//! decompressed here first, piece by piece into nothing, until its end or the stated size is passed.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder;
use parquet::basic::Compression;

/// Most nested structures of a page header.
const DEPTH: u8 = 8;

/// What of a page header matters here.
#[derive(Default)]
struct Page {
    uncompressed: i64,
    compressed: i64,
    /// Bytes before the compressed ones: the levels of a page of version 2.
    levels: i64,
    /// Whether the header says that the page is not compressed after all.
    plain: bool,
}

/// Whether every page of the column chunk in `bytes` decompresses to at most as many bytes as its header states, and no
/// header states more than `most`. Of codecs whose output the decoder bounds nothing is looked at.
pub(super) fn are_bounded(bytes: &[u8], codec: Compression, most: u64) -> bool {
    let trusted =
        matches!(codec, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) | Compression::LZ4_RAW);
    trusted || pages_are_bounded(bytes, codec, most).is_some()
}

fn pages_are_bounded(bytes: &[u8], codec: Compression, most: u64) -> Option<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let page = Thrift { bytes: &mut rest }.page()?;
        let (compressed, levels) = (usize::try_from(page.compressed).ok()?, usize::try_from(page.levels).ok()?);
        let body = rest.get(..compressed)?.get(levels..)?;
        rest = &rest[compressed..];
        let stated = u64::try_from(page.uncompressed).ok().filter(|stated| *stated <= most)?;
        if !page.plain {
            bounded(body, codec, stated)?;
        }
    }
    Some(())
}

/// Whether at most `stated` bytes come out; what does not decompress is left to the decoder to refuse.
fn bounded(body: &[u8], codec: Compression, stated: u64) -> Option<()> {
    let mut decoder: Box<dyn Read + '_> = match codec {
        Compression::GZIP(_) => Box::new(MultiGzDecoder::new(body)),
        Compression::BROTLI(_) => Box::new(brotli::Decompressor::new(body, 4096)),
        Compression::LZ4 => Box::new(FrameDecoder::new(body)),
        _ => return None,
    };
    is_bounded(&mut decoder, stated).then_some(())
}

/// Whether at most `stated` bytes come out of frames of LZ4.
pub(super) fn lz4_frame_is_bounded(body: &[u8], stated: u64) -> bool {
    is_bounded(&mut FrameDecoder::new(body), stated)
}

fn is_bounded(decoder: &mut impl Read, stated: u64) -> bool {
    let (mut found, mut piece) = (0, [0; 4096]);
    while found <= stated {
        match decoder.read(&mut piece) {
            Ok(0) | Err(_) => return true,
            Ok(read) => found += read as u64,
        }
    }
    false
}

/// Reads Thrift's compact protocol, as far as page headers use it.
struct Thrift<'r, 'a> {
    bytes: &'r mut &'a [u8],
}

impl Thrift<'_, '_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.bytes.split_first()?;
        *self.bytes = rest;
        Some(*byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn integer(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// The next field of a structure: its number and type; type 0 at the end.
    fn field(&mut self, before: i64) -> Option<(i64, u8)> {
        let head = self.byte()?;
        let (delta, kind) = (head >> 4, head & 0x0f);
        match (delta, kind) {
            (_, 0) => Some((before, 0)),
            (0, _) => Some((self.integer()?, kind)),
            _ => Some((before.checked_add(i64::from(delta))?, kind)),
        }
    }

    fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        match kind {
            1 | 2 => {}
            3 => drop(self.byte()?),
            4..=6 => drop(self.varint()?),
            7 => *self.bytes = self.bytes.get(8..)?,
            8 => {
                let length = usize::try_from(self.varint()?).ok()?;
                *self.bytes = self.bytes.get(length..)?;
            }
            12 => {
                let (mut field, depth) = (0, depth.checked_sub(1)?);
                loop {
                    let (number, kind) = self.field(field)?;
                    if kind == 0 {
                        break;
                    }
                    field = number;
                    self.skip(kind, depth)?;
                }
            }
            // No page header has a list, set or map.
            _ => return None,
        }
        Some(())
    }

    fn page(&mut self) -> Option<Page> {
        let (mut page, mut field) = (Page::default(), 0);
        loop {
            let (number, kind) = self.field(field)?;
            field = number;
            match (number, kind) {
                (_, 0) => return Some(page),
                (2, 5) => page.uncompressed = self.integer()?,
                (3, 5) => page.compressed = self.integer()?,
                (8, 12) => self.second_version(&mut page)?,
                _ => self.skip(kind, DEPTH)?,
            }
        }
    }

    fn second_version(&mut self, page: &mut Page) -> Option<()> {
        let mut field = 0;
        loop {
            let (number, kind) = self.field(field)?;
            field = number;
            match (number, kind) {
                (_, 0) => return Some(()),
                (5 | 6, 5) => page.levels = page.levels.checked_add(self.integer()?)?,
                (7, 1 | 2) => page.plain = kind == 2,
                _ => self.skip(kind, DEPTH)?,
            }
        }
    }
}
