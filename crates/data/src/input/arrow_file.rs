//! Reads Arrow IPC files (Feather version 2) into raw rows.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_buffer::Buffer;
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::{Block, CompressionType, Message, RecordBatch, root_as_footer, root_as_message};
use arrow_schema::Field;

use super::arrow_columns::{converted, read_as, unreadable};
use super::batch::{Batch, record, schema};
use super::format::Format;
use super::left_out::LeftOut;
use super::limits::Limits;
use super::long_cells::size_of;
use super::parquet_pages::lz4_frame_is_bounded;
use super::raw::RawTable;
use super::settle::Unsettled;
use crate::Error;
use crate::fault::ArrowFault;

/// The first and last bytes of a file.
const MAGIC: &[u8] = b"ARROW1";

/// Reads a table of numbers, flags, times and words; an absent value becomes an empty cell, and a column of anything else
/// is left out. What a block claims is compared with what is there and what is allowed before anything is allocated.
pub(super) fn read(file: &str, bytes: Vec<u8>, limits: &Limits) -> Result<Unsettled, Error> {
    // As with Parquet: should hostile bytes make the decoder panic, that is an error of the file.
    let decode = AssertUnwindSafe(|| decode(file, bytes, limits));
    let panicked = |_| Err(Error::Arrow { file: file.to_owned(), fault: ArrowFault::Panicked });
    catch_unwind(decode).unwrap_or_else(panicked)
}

fn decode(file: &str, bytes: Vec<u8>, limits: &Limits) -> Result<Unsettled, Error> {
    let refuse = |fault| Error::Arrow { file: file.to_owned(), fault };
    let at_most = |what, found, allowed| {
        if found <= allowed { Ok(()) } else { Err(Error::TooLarge { file: file.to_owned(), what, found, allowed }) }
    };
    if !bytes.starts_with(MAGIC) {
        return Err(refuse(ArrowFault::Magic { found: bytes[..bytes.len().min(6)].to_vec() }));
    }
    let bytes = Buffer::from_vec(bytes);
    let cut = || refuse(ArrowFault::Cut);
    let (rest, tail) = bytes.split_last_chunk::<10>().ok_or_else(cut)?;
    let length = read_footer_length(*tail).map_err(|error| refuse(ArrowFault::decoder(error)))?;
    let start = rest.len().checked_sub(length).ok_or_else(cut)?;
    let footer = root_as_footer(&rest[start..]).map_err(|_| cut())?;
    let described = std::sync::Arc::new(fb_to_schema(footer.schema().ok_or_else(cut)?));
    let fields = described.fields();
    at_most("number of columns", fields.len() as u64, limits.columns as u64)?;
    let (readable, others): (Vec<usize>, Vec<usize>) =
        (0..fields.len()).partition(|at| read_as(fields[*at].data_type()).is_some());
    let left_out =
        |at: usize| LeftOut { column: fields[at].name().clone(), reason: unreadable(fields[at].data_type()) };
    let left_out: Vec<LeftOut> = others.into_iter().map(left_out).collect();
    if readable.len() < 2 {
        return Err(Error::NoFeatures { file: file.to_owned(), left_out });
    }
    let mut decoder = FileDecoder::new(described.clone(), footer.version()).with_projection(readable.clone());
    // The bytes that all compressed buffers claim to hold.
    let mut claimed = 0;
    let mut block = |block: &Block| -> Result<(Buffer, u64), Error> {
        let (block, rows, bytes) = checked(&bytes, block).ok_or_else(cut)?;
        claimed += bytes;
        at_most("number of bytes, decompressed,", claimed, limits.bytes)?;
        at_most("number of rows", rows, limits.rows)?;
        Ok((block, rows))
    };
    for dictionary in footer.dictionaries().into_iter().flatten() {
        let (bytes, _) = block(dictionary)?;
        decoder.read_dictionary(dictionary, &bytes).map_err(|error| refuse(ArrowFault::decoder(error)))?;
    }
    let field = |at: &usize| {
        let kind = read_as(fields[*at].data_type()).expect("invariant: unreadable columns are left out");
        Field::new(fields[*at].name(), kind, true)
    };
    let schema = schema(readable.iter().map(field));
    let (mut rows, mut size, mut batches) = (0, 0, Vec::new());
    for part in footer.recordBatches().into_iter().flatten() {
        let (bytes, claimed) = block(part)?;
        at_most("number of rows", rows + claimed, limits.rows)?;
        let batch = decoder.read_record_batch(part, &bytes).map_err(|error| refuse(ArrowFault::decoder(error)))?;
        let Some(batch) = batch else { continue };
        let ids: Vec<u64> = (rows + 1..).take(batch.num_rows()).collect();
        rows += batch.num_rows() as u64;
        let columns = batch.columns().iter().map(converted).collect::<Result<Vec<_>, _>>();
        let columns = columns.map_err(|error| refuse(ArrowFault::decoder(error)))?;
        size += columns.iter().map(|column| size_of(column)).sum::<u64>();
        at_most("number of bytes, decompressed,", size, limits.bytes)?;
        batches.push(Batch::Cells(record(&schema, ids, columns)));
    }
    let columns = readable.iter().map(|at| fields[*at].name().clone()).collect();
    Ok(Unsettled::named(RawTable::new(file, Format::Arrow, columns, 0, batches), left_out))
}

/// The bytes of a block, the rows that it claims, and the bytes that its compressed buffers claim and do not exceed.
fn checked(bytes: &Buffer, block: &Block) -> Option<(Buffer, u64, u64)> {
    let offset = usize::try_from(block.offset()).ok()?;
    let head = usize::try_from(block.metaDataLength()).ok()?;
    let length = head.checked_add(usize::try_from(block.bodyLength()).ok()?)?;
    let end = offset.checked_add(length).filter(|end| *end <= bytes.len())?;
    let head_bytes = bytes.get(offset..offset.checked_add(head)?)?;
    let marked = head_bytes.starts_with(&[0xff; 4]);
    let message = head_bytes.get(if marked { 8 } else { 4 }..)?;
    let batch = batch(root_as_message(message).ok()?)?;
    let body = &bytes[offset + head..end];
    let mut claimed = 0_u64;
    if let Some(compression) = batch.compression() {
        for buffer in batch.buffers().into_iter().flatten() {
            let (start, length) = (usize::try_from(buffer.offset()).ok()?, usize::try_from(buffer.length()).ok()?);
            let bytes = body.get(start..start.checked_add(length)?)?;
            // Nothing, or -1 for bytes that are not compressed after all, or how many they become.
            let Some((prefix, bytes)) = bytes.split_first_chunk::<8>() else { continue };
            let Ok(stated) = u64::try_from(i64::from_le_bytes(*prefix)) else { continue };
            if compression.codec() == CompressionType::LZ4_FRAME && !lz4_frame_is_bounded(bytes, stated) {
                return None;
            }
            claimed = claimed.checked_add(stated)?;
        }
    }
    Some((bytes.slice_with_length(offset, length), u64::try_from(batch.length()).ok()?, claimed))
}

fn batch(message: Message<'_>) -> Option<RecordBatch<'_>> {
    let dictionary = || message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
    message.header_as_record_batch().or_else(dictionary)
}
