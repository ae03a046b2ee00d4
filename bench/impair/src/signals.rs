//! Signals: whatever ends the program, nothing of it stays behind.

use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use crate::namespace;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The end; carries the signal's number.
    End(i32),
    /// SIGUSR1.
    Toggle,
}

/// Gives signals to `take`, until it takes no more; a second one that asks for the end ends the program at once.
pub(crate) fn listen(mut take: impl FnMut(Signal) -> bool + Send + 'static) {
    thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::user_defined1()];
            let [Ok(mut int), Ok(mut term), Ok(mut usr1)] = kinds.map(signal) else { return };
            let mut ending = false;
            loop {
                let got = tokio::select! {
                    _ = int.recv() => Signal::End(2),
                    _ = term.recv() => Signal::End(15),
                    _ = usr1.recv() => Signal::Toggle,
                };
                match got {
                    Signal::End(number) if ending || !take(got) => leave(number),
                    Signal::End(_) => ending = true,
                    Signal::Toggle => {
                        take(got);
                    }
                }
            }
        });
    });
}

/// Ends the program at the first signal, in the middle of whatever it does.
pub(crate) fn end_at_once() {
    listen(|_| false);
}

fn leave(number: i32) {
    namespace::remove_all();
    std::process::exit(128 + number);
}
