//! Tells a torn end of RocksDB's write-ahead log from damage.
//!
//! RocksDB takes a record that reaches beyond the end of the file for a torn one, and drops it and
//! all behind it. That is right after a crash: the last write was never reported as done. But a
//! damaged length in the middle of the file's last block looks the same, and would silently drop
//! what was acknowledged. The difference is what follows: each write is synced before the next one
//! begins, so behind a torn write there is never the beginning of another.
//!
//! The file's form (`rocksdb/db/log_format.h`): blocks of 32 KiB; in each, records of checksum
//! (4 bytes, CRC-32C of type and content, masked), length (2), type (1), and content.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use crate::StoreError;

const BLOCK: u64 = 32_768;
const HEAD: usize = 7;
/// A whole write, or the first part of one.
const FULL: u8 = 1;
const FIRST: u8 = 2;

/// Refuses a database whose newest write-ahead log would lose what was synced.
pub(crate) fn check(folder: &Path) -> Result<(), StoreError> {
    let disk = |source| StoreError::disk(folder, source);
    let Some(path) = newest(folder).map_err(disk)? else {
        return Ok(());
    };
    let block = last_block(&path).map_err(disk)?;
    match torn_at(&block) {
        Some(torn) if begins_after(&block, torn) => {
            let what = format!("{} is broken in its middle", path.display());
            Err(StoreError::damaged(folder, what))
        }
        Some(_) | None => Ok(()),
    }
}

fn newest(folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for item in fs::read_dir(folder)? {
        let path = item?.path();
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let (true, Some(number)) = (is_log, number) {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

fn last_block(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let start = size.saturating_sub(1) / BLOCK * BLOCK;
    let length = usize::try_from(size - start).expect("a block is short");
    let mut block = vec![0; length];
    file.read_exact_at(&mut block, start)?;
    Ok(block)
}

/// Where a record reaches beyond the end. Records that are wrong otherwise are RocksDB's to refuse.
fn torn_at(block: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(head) = block[at..].first_chunk::<HEAD>() {
        let length = length(head);
        if head == &[0; HEAD] {
            return None;
        }
        match block[at + HEAD..].get(..length) {
            None => return Some(at),
            Some(content) if !is_whole(head, content) => return None,
            Some(_) => at += HEAD + length,
        }
    }
    None
}

/// Whether the beginning of a write stands somewhere behind `torn`.
fn begins_after(block: &[u8], torn: usize) -> bool {
    (torn + 1..block.len()).any(|at| {
        let Some(head) = block[at..].first_chunk::<HEAD>() else {
            return false;
        };
        let content = block[at + HEAD..].get(..length(head));
        matches!(head[6], FULL | FIRST) && content.is_some_and(|content| is_whole(head, content))
    })
}

fn length(head: &[u8; HEAD]) -> usize {
    usize::from(u16::from_le_bytes([head[4], head[5]]))
}

fn is_whole(head: &[u8; HEAD], content: &[u8]) -> bool {
    let stored = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let sum = crc32c::crc32c_append(crc32c::crc32c(&head[6..]), content);
    sum.rotate_right(15).wrapping_add(0xA282_EAD8) == stored
}
