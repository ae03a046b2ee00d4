//! What the system says of a running process: memory, processor time, descriptors; and how it is sent a signal.

use std::{fs, io, path::Path, process::Command, time::Duration};

use crate::failure::{Doing, Failure, Result};

/// The unit of processor time in `/proc`: 1/100 s on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// What the system counts memory in.
const PAGE: u64 = 4 << 10;

/// Resident memory in bytes.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).doing(&path)?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.ok_or_else(|| Failure::new(format!("{path} tells no memory")))? << 10)
}

/// Processor time used so far, by all threads, in the program and in the kernel.
pub(crate) fn processor(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).doing(&path)?;
    // The second field is the name in parentheses and may hold anything; the third one follows it.
    let (_, rest) = text.rsplit_once(')').unwrap_or_default();
    let field = |n: usize| rest.split_whitespace().nth(n - 3)?.parse::<u32>().ok();
    let ticks = field(14).zip(field(15)).map(|(user, system)| user + system);
    Ok(TICK * ticks.ok_or_else(|| Failure::new(format!("{path} tells no processor time")))?)
}

/// Processor time that this machine has used since its start, for all programs, interrupts, and machines that it shares
/// processors with.
pub(crate) fn machine() -> Result<Duration> {
    let path = "/proc/stat";
    let text = fs::read_to_string(path).doing(path)?;
    let line = text.lines().next().and_then(|line| line.strip_prefix("cpu "));
    let fields: Vec<u64> =
        line.unwrap_or_default().split_whitespace().map_while(|field| field.parse().ok()).collect();
    // user, nice, system, idle, waiting, interrupts, soft ones, stolen; what guests use is in the first already.
    let [user, nice, system, _, _, interrupts, soft, stolen, ..] = *fields else {
        return Err(Failure::new(format!("{path} tells no processor time")));
    };
    let ticks = user + nice + system + interrupts + soft + stolen;
    Ok(TICK * u32::try_from(ticks).unwrap_or(u32::MAX))
}

/// Open descriptors.
pub(crate) fn descriptors(pid: u32) -> Result<usize> {
    let path = format!("/proc/{pid}/fd");
    Ok(fs::read_dir(&path).doing(&path)?.count())
}

/// Memory that the system keeps for all TCP sockets of this machine, in bytes.
pub(crate) fn tcp_buffers() -> Result<u64> {
    let path = "/proc/net/sockstat";
    let text = fs::read_to_string(path).doing(path)?;
    let line = text.lines().find(|line| line.starts_with("TCP:"));
    let pages =
        line.and_then(|line| line.rsplit_once("mem ")?.1.split_whitespace().next()?.parse::<u64>().ok());
    Ok(pages.ok_or_else(|| Failure::new(format!("{path} tells no memory")))? * PAGE)
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, name: &str) -> Result<()> {
    let kill = format!("kill -s {name} {pid}");
    let done = Command::new("sh").args(["-c", &kill]).status()?;
    if done.success() { Ok(()) } else { Err(Failure::new(format!("{kill}: {done}"))) }
}

/// The length of a file in bytes; 0 when there is none.
pub(crate) fn file_length(path: &Path) -> Result<u64> {
    match fs::metadata(path) {
        Ok(file) => Ok(file.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let own = std::process::id();
        assert!(resident(own).is_ok_and(|bytes| bytes > 1 << 20));
        assert!(processor(own).is_ok_and(|own| machine().is_ok_and(|all| all >= own)));
        assert!(processor(own).is_ok() && descriptors(own).is_ok_and(|open| open > 2));
    }
}
