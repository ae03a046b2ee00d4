//! The bytes of one file: what the disk holds, and over it the pages that were not synced.

use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt as _};

use rand::{RngExt as _, rngs::SmallRng};

use crate::figures::Loss;

/// Bytes that reach the disk together or not at all: a page of the kernel's cache.
const PAGE: u64 = 4096;

/// The bytes of one file.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// The file in the backing folder; none before the file's creation is durable.
    disk: Option<File>,
    disk_len: u64,
    /// How much of the disk's is still to be seen: less than all of it once the file was shortened.
    seen: u64,
    len: u64,
    /// Pages that were not synced, by their number; zero behind the end of the file.
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Content {
    /// What the backing folder's `disk` holds, which is `len` bytes.
    pub(crate) fn on_disk(disk: File, len: u64) -> Self {
        Self { disk: Some(disk), disk_len: len, seen: len, len, pages: BTreeMap::new() }
    }

    /// The file's creation is durable: its bytes go to the empty `disk` from now on.
    pub(crate) fn attach(&mut self, disk: File) {
        self.disk = Some(disk);
    }

    /// The file in the backing folder, if it has one.
    pub(crate) fn disk(&self) -> Option<&File> {
        self.disk.as_ref()
    }

    /// Bytes that programs see.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Up to `size` bytes from `offset` on.
    pub(crate) fn read(&self, offset: u64, size: u64) -> io::Result<Vec<u8>> {
        let end = self.len.min(offset.saturating_add(size));
        let mut bytes = vec![0; end.saturating_sub(offset) as usize];
        if bytes.is_empty() {
            return Ok(bytes);
        }
        let on_disk = self.seen.min(end).saturating_sub(offset) as usize;
        if let Some(disk) = &self.disk {
            disk.read_exact_at(&mut bytes[..on_disk], offset)?;
        }
        for (number, page) in self.pages.range(offset / PAGE..end.div_ceil(PAGE)) {
            let start = number * PAGE;
            let (from, to) = (offset.max(start), end.min(start + PAGE));
            let place = (from - offset) as usize..(to - offset) as usize;
            bytes[place].copy_from_slice(&page[(from - start) as usize..(to - start) as usize]);
        }
        Ok(bytes)
    }

    /// Writes in memory.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let end = offset + bytes.len() as u64;
        for number in offset / PAGE..end.div_ceil(PAGE) {
            let start = number * PAGE;
            let (from, to) = (offset.max(start), end.min(start + PAGE));
            let part = &bytes[(from - offset) as usize..(to - offset) as usize];
            self.page(number)?[(from - start) as usize..(to - start) as usize].copy_from_slice(part);
        }
        self.len = self.len.max(end);
        Ok(())
    }

    /// Shortens the file or lets it grow by zeros, in memory.
    pub(crate) fn resize(&mut self, len: u64) {
        if len < self.len {
            self.seen = self.seen.min(len);
            drop(self.pages.split_off(&len.div_ceil(PAGE)));
            if let Some(page) = self.pages.get_mut(&(len / PAGE)) {
                page[(len % PAGE) as usize..].fill(0);
            }
        }
        self.len = len;
    }

    /// Makes everything durable and tells how many bytes that were; without a file on disk it stays in memory.
    pub(crate) fn sync(&mut self) -> io::Result<u64> {
        let Some(disk) = &self.disk else { return Ok(0) };
        if self.seen < self.disk_len {
            disk.set_len(self.seen)?;
        }
        let mut bytes = 0;
        for (number, page) in &self.pages {
            let part = visible(page, *number, self.len);
            disk.write_all_at(part, number * PAGE)?;
            bytes += part.len() as u64;
        }
        disk.set_len(self.len)?;
        self.pages.clear();
        (self.disk_len, self.seen) = (self.len, self.len);
        Ok(bytes)
    }

    /// What is lost when nothing more is kept.
    pub(crate) fn unsynced(&self) -> Loss {
        let mut loss = Loss::default();
        for (number, page) in &self.pages {
            loss.lost_pages += 1;
            loss.lost_bytes += visible(page, *number, self.len).len() as u64;
        }
        loss
    }

    /// Writes what chance keeps of a power cut to the disk; the rest is forgotten with this.
    ///
    /// Shortening a file frees what was behind it, and no file system writes there before that itself is durable: if it is not
    /// kept, no page behind it is.
    pub(crate) fn tear(self, chance: &mut SmallRng) -> io::Result<Loss> {
        let Some(disk) = &self.disk else { return Ok(self.unsynced()) };
        let (share, grown) = (chance.random::<f64>(), chance.random::<bool>());
        let shortened = self.seen < self.disk_len;
        let resized = !shortened || chance.random::<bool>();
        if shortened && resized {
            disk.set_len(self.seen)?;
        }
        let mut loss = Loss::default();
        for (number, page) in &self.pages {
            let part = visible(page, *number, self.len);
            let allowed = resized || number * PAGE + part.len() as u64 <= self.seen;
            if chance.random_bool(share) && allowed {
                disk.write_all_at(part, number * PAGE)?;
                loss.kept_pages += 1;
            } else {
                loss.lost_pages += 1;
                loss.lost_bytes += part.len() as u64;
            }
        }
        if resized && grown && disk.metadata()?.len() < self.len {
            disk.set_len(self.len)?;
        }
        Ok(loss)
    }

    /// A page to write into, as programs see it now.
    fn page(&mut self, number: u64) -> io::Result<&mut Vec<u8>> {
        let mut fresh = Vec::new();
        if !self.pages.contains_key(&number) {
            fresh = self.read(number * PAGE, PAGE)?;
            fresh.resize(PAGE as usize, 0);
        }
        Ok(self.pages.entry(number).or_insert(fresh))
    }
}

/// The part of a page that is not behind the end of the file.
fn visible(page: &[u8], number: u64, len: u64) -> &[u8] {
    &page[..len.saturating_sub(number * PAGE).min(PAGE) as usize]
}

#[cfg(test)]
mod tests;
