//! The camera-agent program: parse the command line, start logging, run one command.

mod command;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use clap::Parser as _;
use tokio::runtime::{Builder, Runtime};

/// The longest that the end of the program waits for threads that wait for the system.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// Steps after which the runtime looks what other threads brought. By default it is 31 while there is anything else to do, and an
/// answer whose page has come from the disk passes over as many turns as that.
const LOOK_EVERY: u32 = 2;

fn main() -> ExitCode {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return failed("the TLS provider cannot be installed");
    }
    let line = command::Line::parse();
    if let Err(why) = command::start_logging(&line) {
        return failed(&why);
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(e) => return failed(&format!("the program cannot start: {e}")),
    };
    let ended = runtime.block_on(command::run(line));
    // A resolver or a disk that hangs keeps its thread, but not the program.
    runtime.shutdown_timeout(STOP_WITHIN);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(&why),
    }
}

/// One thread: a device has little to do at once, and its disk work has threads of its own.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().global_queue_interval(LOOK_EVERY).build()
}

fn failed(why: &str) -> ExitCode {
    // Nothing is left to do when even this cannot be written.
    let _ = writeln!(io::stderr(), "camera-agent: {why}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Poll};

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn what_another_thread_brings_is_not_left_lying_while_there_is_other_work() {
        let steps = runtime().unwrap().block_on(async {
            let (page_tx, page_rx) = oneshot::channel();
            let answer = tokio::spawn(page_rx);
            let busy = tokio::spawn(async move {
                std::thread::spawn(move || page_tx.send(())).join().unwrap().unwrap();
                let mut steps = 0;
                poll_fn(|cx| {
                    steps += 1;
                    cx.waker().wake_by_ref();
                    if answer.is_finished() { Poll::Ready(steps) } else { Poll::Pending }
                })
                .await
            });
            busy.await.unwrap()
        });
        assert!(steps <= 3, "{steps} steps of other work");
    }
}
