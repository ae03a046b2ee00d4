//! A folder that forgets what was not fsynced, to see what a power cut leaves of a program's files.
//!
//! [`PowerCut::mount`] shows a *backing* folder at a *mountpoint*, over FUSE. The backing folder is the disk: only what is
//! in it survives. Everything that programs do at the mountpoint stays in memory until they sync it; [`PowerCut::cut`]
//! drops the rest, as a power cut does.
//!
//! Programs must be dead when the power is cut: one that lives on gets `ESTALE` from what it had open, but what it opens
//! afterwards is on the new disk. To cut in the middle of their work, also of a sync, call [`PowerCut::fail`], kill
//! them, then cut. To cut between two steps of their work, kill them and cut.
//!
//! # What is durable when
//!
//! POSIX says little, so these rules take from what Linux file systems do the least that programs may rely on.
//!
//! - `fsync` or `fdatasync` of a file: its bytes, length, owner and mode. If the file has never been durable under any name,
//!   also its creation, under the name that it was made with, as ext4, xfs and btrfs do. Not a later rename of it, and
//!   nothing else in its folder.
//! - `fsync` of a folder: what was made, renamed and removed in it, and its own creation. Not the bytes of what was made: a
//!   file that was not synced itself is there and empty.
//! - A change of names never becomes durable before those that it builds on: those of the same name, of the same file or
//!   folder, and the creation of the folders above. A rename is one change: after a cut the file has its old name or its new
//!   one, and a name that was renamed over leads to the old file or the new.
//! - Nothing becomes durable by itself, however long it waits, and everything does when the folder is unmounted without a
//!   cut. `close` and `sync` of the whole system make nothing durable; `msync` and files opened with `O_SYNC` are an `fsync`.
//!
//! A cut by [`PowerCut::cut_clean`] keeps nothing else. [`PowerCut::cut`] is the harder one: each page of 4096 bytes that
//! was not synced, each cut of a length and each change of names is kept by chance, with odds that are drawn anew for each
//! file and each cut. So a log may keep its second page and not its first, and a file be as long as it should and full of zeros. A page is
//! what it was at the last sync or at the end, and never something in between.
//!
//! # What it does not do
//!
//! Hard links, symbolic links, sockets, devices and extended attributes are refused, and a backing folder that has some is not mounted.
//! Times are not kept. POSIX locks, `flock` and shared memory maps work between all programs of the machine, so SQLite's
//! write-ahead log does; the kernel serves them by itself. The process that serves the mount must not map files of it
//! itself: a page fault would wait for the very process that it stops. It takes one process at a time to serve a backing
//! folder.
//!
//! # Layout
//!
//! - `mount`: [`PowerCut`], mounting and unmounting
//! - `serve`: the kernel's questions, each answered by a call of `world`
//! - `world`: files and folders as programs see them; `world/sync`: what makes them durable; `world/cut`: what drops
//!   them; `world/scan`: how they are read from the backing folder
//! - `content`: the bytes of a file; `change`: changes of names, and which of them build on which; `node`: what both belong to
//! - `figures`: what is counted

mod change;
mod content;
mod figures;
mod mount;
mod node;
mod serve;
mod world;

pub use figures::{Figures, Loss};
pub use mount::{Manner, PowerCut};
