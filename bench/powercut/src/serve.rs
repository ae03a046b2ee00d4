//! The kernel's questions about the mountpoint, each answered by a call of the world.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, SystemTime},
};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::{
    change::Place,
    content::Content,
    node::{Kind, Rights},
    world::{Wish, World},
};

/// How long the kernel may remember names and lengths: not at all, because a cut changes both.
const NOT_AT_ALL: Duration = Duration::ZERO;

/// Numbers are never used twice, so there is one generation.
const GENERATION: Generation = Generation(0);

/// Files need no handle of their own.
const NO_HANDLE: FileHandle = FileHandle(0);

/// The kernel may keep the pages of a file from one opening to the next: nobody else changes it, and after a cut it is another one.
const KEEP_PAGES: FopenFlags = FopenFlags::FOPEN_KEEP_CACHE;

/// The world behind its lock, whatever became of those that held it.
pub(crate) fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a folder held when it was opened.
type Listing = Vec<(u64, FileType, OsString)>;

/// What the kernel talks to.
#[derive(Debug)]
pub(crate) struct Served {
    world: Arc<Mutex<World>>,
    sync_takes: Duration,
    /// Open folders by their handles.
    listings: Mutex<HashMap<u64, Listing>>,
    next_handle: AtomicU64,
    /// Hears when the kernel has gone and everything is durable.
    ended_tx: mpsc::Sender<io::Result<()>>,
}

impl Served {
    /// Serves `world`, where each sync takes that long, and tells `ended_tx` when it is unmounted.
    pub(crate) fn new(
        world: Arc<Mutex<World>>,
        sync_takes: Duration,
        ended_tx: mpsc::Sender<io::Result<()>>,
    ) -> Self {
        Self { world, sync_takes, listings: Mutex::default(), next_handle: AtomicU64::new(1), ended_tx }
    }

    /// The world after the time of a sync: who cuts the power meanwhile cuts it in the middle of the sync.
    fn world_after_sync(&self) -> MutexGuard<'_, World> {
        if !self.sync_takes.is_zero() {
            thread::sleep(self.sync_takes);
        }
        self.world()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    fn listings(&self) -> MutexGuard<'_, HashMap<u64, Listing>> {
        self.listings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, request: &Request, place: Place, mode: u32, kind: Kind) -> Result<FileAttr, Errno> {
        // The kernel has taken the umask off already.
        let rights = Rights { mode: mode & 0o7777, uid: request.uid(), gid: request.gid() };
        self.world().make(place, rights, kind)
    }
}

impl Filesystem for Served {
    fn destroy(&mut self) {
        let synced = self.world().sync_all().map_err(|errno| io::Error::from_raw_os_error(errno.code()));
        // Nobody waits when the folder was unmounted from outside.
        let _ = self.ended_tx.send(synced);
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer_entry(self.world().lookup(parent.0, name), reply);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        answer_attr(self.world().attr(ino.0), reply);
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let (read_at, changed_at) = (atime.map(time), mtime.map(time));
        let wish = Wish { mode, uid, gid, size, read_at, changed_at };
        answer_attr(self.world().change(ino.0, &wish), reply);
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        let kind = Kind::Folder(Default::default());
        answer_entry(self.make(request, place(parent, name), mode, kind), reply);
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        match self.make(request, place(parent, name), mode, Kind::File(Content::default())) {
            Ok(attr) => reply.created(&NOT_AT_ALL, &attr, GENERATION, NO_HANDLE, KEEP_PAGES),
            Err(errno) => reply.error(errno),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.world().remove(place(parent, name)), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.world().remove(place(parent, name)), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !(flags - RenameFlags::RENAME_NOREPLACE).is_empty() {
            return reply.error(Errno::EINVAL);
        }
        let may_replace = flags.is_empty();
        answer(self.world().rename(place(parent, name), place(newparent, newname), may_replace), reply);
    }

    fn open(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let found = self.world().attr(ino.0);
        match found {
            Ok(_) => reply.opened(NO_HANDLE, KEEP_PAGES),
            Err(errno) => reply.error(errno),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.world().read(ino.0, offset, u64::from(size));
        match read {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(errno),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.world().write(ino.0, offset, data);
        match written {
            Ok(()) => reply.written(data.len() as u32),
            Err(errno) => reply.error(errno),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Closing a file makes nothing durable.
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.world_after_sync().sync_file(ino.0), reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer(self.world_after_sync().sync_folder(ino.0), reply);
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let listing = self.world().list(ino.0);
        match listing {
            Ok(listing) => {
                let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
                self.listings().insert(handle, listing);
                reply.opened(FileHandle(handle), FopenFlags::empty());
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn readdir(&self, _: &Request, _: INodeNo, fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listings = self.listings();
        let Some(listing) = listings.get(&fh.0) else { return reply.error(Errno::EBADF) };
        for (at, (number, kind, name)) in listing.iter().enumerate().skip(offset as usize) {
            if reply.add(INodeNo(*number), at as u64 + 1, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.listings().remove(&fh.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let disk = rustix::fs::statvfs(self.world().backing());
        match disk {
            Ok(disk) => reply.statfs(
                disk.f_blocks,
                disk.f_bfree,
                disk.f_bavail,
                disk.f_files,
                disk.f_ffree,
                disk.f_bsize as u32,
                disk.f_namemax as u32,
                disk.f_frsize as u32,
            ),
            Err(errno) => reply.error(Errno::from_i32(errno.raw_os_error())),
        }
    }
}

fn place(parent: INodeNo, name: &OsStr) -> Place {
    Place { folder: parent.0, name: name.to_owned() }
}

fn time(time: TimeOrNow) -> SystemTime {
    match time {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    }
}

fn answer(result: Result<(), Errno>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

fn answer_attr(result: Result<FileAttr, Errno>, reply: ReplyAttr) {
    match result {
        Ok(attr) => reply.attr(&NOT_AT_ALL, &attr),
        Err(errno) => reply.error(errno),
    }
}

fn answer_entry(result: Result<FileAttr, Errno>, reply: ReplyEntry) {
    match result {
        Ok(attr) => reply.entry(&NOT_AT_ALL, &attr, GENERATION),
        Err(errno) => reply.error(errno),
    }
}
