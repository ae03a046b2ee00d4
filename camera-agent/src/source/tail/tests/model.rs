//! Whatever a program, logrotate and a power cut do in whatever order, each line is read once, in order.

use proptest::prelude::*;

use super::{rotation::Reading, *};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The program writes so many lines, and the end of one that is begun.
    Write(usize),
    /// It writes a part of a line.
    Begin,
    /// logrotate renames the log; the program opens the new one at once, or only with its next but one step.
    Rotate {
        late: bool,
    },
    Reopen,
    /// logrotate copies and truncates the log after all of it was read.
    Truncate,
    /// The agent looks so often and keeps what it finds.
    Look(u8),
    /// The agent is killed, before it has kept what it found at last or behind that.
    Kill {
        found: bool,
    },
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop_oneof![1..5_usize, Just(700)].prop_map(Step::Write),
        2 => Just(Step::Begin),
        2 => any::<bool>().prop_map(|late| Step::Rotate { late }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Truncate),
        4 => (1..4_u8).prop_map(Step::Look),
        2 => any::<bool>().prop_map(|found| Step::Kill { found }),
        2 => Just(Step::Wait),
    ];
    prop::collection::vec(step, 0..40)
}

/// A program with its log, and what must become of it.
struct World {
    reading: Reading,
    writer: File,
    /// A line that has no end yet.
    begun: String,
    expected: Vec<String>,
    written: usize,
}

impl World {
    fn new(is_there: bool, from_start: bool) -> Self {
        let logs = Logs::new();
        let mut expected = Vec::new();
        if is_there {
            logs.write("before\n");
            expected.extend(from_start.then(|| "before".to_owned()));
        }
        let reading = Reading::start(logs, from_start);
        Self { writer: reading.logs.writer(), reading, begun: String::new(), expected, written: 0 }
    }

    fn put(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).unwrap();
    }

    fn begin(&mut self) {
        self.written += 1;
        let part = format!("part {}, ", self.written);
        self.put(&part);
        self.begun += &part;
    }

    fn line(&mut self) {
        self.written += 1;
        let rest = format!("line {}", self.written);
        self.put(&format!("{rest}\n"));
        let line = std::mem::take(&mut self.begun) + &rest;
        self.expected.push(line);
    }

    /// The program opens the log anew, and goes on there in the middle of its line.
    fn reopen(&mut self) {
        self.writer = self.reading.logs.writer();
        let begun = std::mem::take(&mut self.begun);
        self.expected.extend((!begun.is_empty()).then_some(begun));
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Write(lines) => (0..lines).for_each(|_| self.line()),
            Step::Begin => self.begin(),
            Step::Rotate { late } => {
                // One that is so late that another rotation comes loses lines by itself.
                self.reopen_if_rotated();
                self.reading.rotate();
                if !late {
                    self.reopen();
                }
            }
            Step::Reopen => self.reopen_if_rotated(),
            Step::Truncate => {
                self.reopen_if_rotated();
                self.line();
                self.reading.read_all();
                self.reading.copy_and_truncate();
            }
            Step::Look(times) => (0..times).for_each(|_| _ = self.reading.look(true)),
            Step::Kill { found } => {
                if found {
                    self.reading.look(false);
                }
                self.reading.kill();
            }
            Step::Wait => self.reading.wait(Duration::from_secs(1)),
        }
    }

    fn reopen_if_rotated(&mut self) {
        let (held, log) = (self.writer.metadata().unwrap(), fs::metadata(self.reading.logs.log()).unwrap());
        if place::inode(&held) != place::inode(&log) {
            self.reopen();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn each_line_is_read_once_and_in_order(is_there: bool, from_start: bool, steps in steps()) {
        let mut world = World::new(is_there, from_start);
        steps.into_iter().for_each(|step| world.take(step));
        world.line();
        world.reading.read_all();
        prop_assert_eq!(&world.reading.lines, &world.expected);
    }
}
