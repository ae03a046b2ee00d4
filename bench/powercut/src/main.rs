//! `powercut`: serves a folder that forgets what was not fsynced, and cuts its power at a signal.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that says what was lost")]

use std::{io, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use oriel_powercut::{Manner, PowerCut};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

/// Show a folder at a mountpoint and forget, at a signal, what was not fsynced there.
///
/// What programs write at MOUNTPOINT is in memory until they sync it; then it is in BACKING,
/// which is the disk. Signals:
///
///   SIGPWR    let the power fail: all that programs ask fails until the power is cut
///   SIGUSR1   cut the power; some of what was not synced survives by chance
///   SIGUSR2   cut the power; nothing survives that was not synced
///   SIGTERM   make everything durable, unmount and end (SIGINT too)
///
/// To cut in the middle of the work of a program: SIGPWR, wait for `failed`, kill the program,
/// wait for its end, SIGUSR1, wait for `cut`, start the program again. Without SIGPWR, the power
/// goes between two steps of its work. Lines on standard output:
///
///   serving MOUNTPOINT seed=N
///   failed
///   cut n=N lost_bytes=N lost_pages=N kept_pages=N lost_changes=N kept_changes=N
///   unmounted cuts=N file_syncs=N folder_syncs=N written_bytes=N synced_bytes=N
///
/// Changes are names that were made, renamed or removed. Ends with 0, or with 2 and the reason.
///
/// Needs /dev/fuse, and root or the program fusermount3 (Debian: fuse3). If it is killed,
/// nothing survives that was not synced, and `umount -l MOUNTPOINT` clears up.
#[derive(Debug, Parser)]
#[command(name = "powercut", version, verbatim_doc_comment)]
struct Command {
    /// The folder that is the disk
    backing: PathBuf,
    /// The folder where programs work; not inside the other
    mountpoint: PathBuf,
    /// Decides what cuts keep by chance [default: a random one, which is printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How long each sync takes; without, SIGPWR hardly ever comes in the middle of one
    #[arg(long, value_name = "MS", default_value_t = 0)]
    sync_takes: u64,
    /// Be a disk that says that it synced and does not
    #[arg(long)]
    lie: bool,
}

/// The exit code of a run that broke.
const BROKEN: u8 = 2;

fn main() -> ExitCode {
    match run(&Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("powercut: {error}");
            ExitCode::from(BROKEN)
        }
    }
}

fn run(command: &Command) -> io::Result<()> {
    let seed = command.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    let manner = Manner { seed, sync_takes: Duration::from_millis(command.sync_takes), lies: command.lie };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let [mut term, mut int] = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
        let mut fail = signal(SignalKind::from_raw(Signal::POWER.as_raw()))?;
        let [mut cut, mut cut_clean] =
            [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?];
        let folder = PowerCut::mount_as(&command.backing, &command.mountpoint, manner)?;
        println!("serving {} seed={seed}", command.mountpoint.display());
        loop {
            let loss = tokio::select! {
                _ = cut.recv() => folder.cut()?,
                _ = cut_clean.recv() => folder.cut_clean()?,
                _ = fail.recv() => {
                    folder.fail();
                    println!("failed");
                    continue;
                }
                _ = term.recv() => break,
                _ = int.recv() => break,
            };
            println!("cut n={} {loss}", folder.figures().cuts);
        }
        let figures = folder.figures();
        folder.unmount()?;
        println!("unmounted {figures}");
        Ok(())
    })
}
