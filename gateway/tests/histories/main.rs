//! One answer for any time range: random histories of cameras, of which every answer is compared with a plain list of what was written.
//!
//! Not among them: events that are sent again under a new epoch, and searches that are given up.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

mod camera;
#[path = "../common/mod.rs"]
mod common;
mod device;
mod question;
mod truth;

use std::{
    cell::Cell,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::TestGateway;
use oriel_gateway::{
    clock,
    store::{Retention, Store},
};
use oriel_proto::{Timestamp, frame::Upload};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use tokio::runtime::Runtime;

use self::{
    camera::Camera,
    device::Device,
    question::{Answer, Question},
};

/// Says how many histories there are.
const HISTORIES: &str = "ORIEL_HISTORIES";

/// How many there are when nobody says.
const USUALLY: u32 = 200;

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// Events are written, so many milliseconds after each other.
    Write(Vec<i64>),
    /// Nothing happens for so many milliseconds.
    Wait(i64),
    /// So many events are uploaded.
    Upload(u64),
    /// The camera tells that nothing more was written.
    Tell,
    /// The oldest events leave the device.
    Drop(u64),
    /// At least so many of those that the gateway keeps are past their time.
    Expire(usize),
    /// The clock is set back by so many milliseconds more than are held.
    SetBack(i64),
    Connect,
    Leave,
    /// The events are from now on uploaded or not; told with the next connection.
    Policy(bool),
    /// Somebody asks.
    Ask(Ask),
}

/// A question, of which the times are those of the events of these numbers.
#[derive(Clone, Debug)]
struct Ask {
    range: Option<(usize, usize)>,
    desc: bool,
    filter: usize,
    limit: usize,
}

fn ask() -> impl Strategy<Value = Ask> {
    let range = prop::option::of((0..40_usize, 0..40_usize));
    (range, any::<bool>(), 0..5_usize, 1..9_usize).prop_map(|(range, desc, filter, limit)| Ask {
        range,
        desc,
        filter: filter.saturating_sub(1),
        limit,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => vec(prop_oneof![Just(0), 1..3_000_i64], 1..7).prop_map(Step::Write),
        1 => (1..100_000_i64).prop_map(Step::Wait),
        5 => (1..9_u64).prop_map(Step::Upload),
        2 => Just(Step::Tell),
        1 => (1..9_u64).prop_map(Step::Drop),
        2 => (1..12_usize).prop_map(Step::Expire),
        1 => (0..20_000_i64).prop_map(Step::SetBack),
        4 => Just(Step::Connect),
        3 => Just(Step::Leave),
        1 => any::<bool>().prop_map(Step::Policy),
        5 => ask().prop_map(Step::Ask),
    ]
}

/// One camera, whose history is made up.
struct History<'a> {
    gateway: &'a TestGateway,
    /// What the gateway keeps, as another process sees it.
    store: &'a Store,
    name: String,
    device: Device,
}

impl<'a> History<'a> {
    async fn new(gateway: &'a TestGateway, store: &'a Store, n: u32) -> Self {
        let name = format!("camera-{n}");
        // A day and more passes in no history.
        let begin = clock::now().as_micros() - 2 * 86_400_000_000;
        let camera = Camera::new(name.parse().unwrap(), Timestamp::from_micros(begin));
        let enrolled = gateway.enroll(&[&name]).await;
        let mut device = Device::new(Arc::new(Mutex::new(camera)), enrolled);
        device.connect().await;
        Self { gateway, store, name, device }
    }

    async fn happen(&mut self, step: &Step) -> truth::Verdict {
        match step {
            Step::Write(gaps) => gaps.iter().for_each(|gap| self.device.camera().write(*gap)),
            Step::Wait(ms) => self.device.camera().wait(*ms),
            Step::Upload(most) => self.device.upload(*most).await,
            Step::Tell => self.device.tell(self.gateway).await,
            Step::Drop(count) => self.device.camera().drop_oldest(*count),
            Step::Expire(count) => self.expire(*count).await,
            Step::SetBack(ms) => {
                // Events are uploaded in the order of their runs, so that the end of one is told before the next.
                self.device.tell(self.gateway).await;
                self.device.camera().set_back(*ms);
                self.device.tell(self.gateway).await;
            }
            Step::Connect if self.device.is_online() => {}
            Step::Connect => self.device.connect().await,
            Step::Leave => self.device.leave(self.gateway).await,
            Step::Policy(live) => {
                // What is told of a connected camera is told when it connects.
                self.device.leave(self.gateway).await;
                self.device.camera().upload = if *live { Upload::Live } else { Upload::OnDemand };
            }
            Step::Ask(ask) => return self.asked(ask).await,
        }
        Ok(())
    }

    /// The gateway removes what came first.
    async fn expire(&self, count: usize) {
        let until = self.device.camera().expire(count);
        let all = Retention { age: Duration::ZERO, events: u64::MAX };
        while self.store.expire(all, until).await.unwrap().more {}
    }

    /// The answer, whole, in pages, in lines and in numbers, is what was written.
    async fn asked(&self, ask: &Ask) -> truth::Verdict {
        let (question, is_online) = (self.question(ask), self.device.is_online());
        let compare = |after, answer: &Answer| {
            let verdict = truth::page(&self.device.camera(), is_online, &question, after, answer);
            verdict.map_err(|why| format!("{why}\n{question:?}\nonline: {is_online}\n{answer:#?}"))
        };
        let whole = question.page(self.gateway, &self.name, 1_000, None).await;
        compare(None, &whole)?;
        let lines = question.lines(self.gateway, &self.name, None).await;
        compare(None, &lines)?;
        compare(None, &question.lines(self.gateway, &self.name, Some(ask.limit)).await)?;
        let mut pages: Vec<Answer> = Vec::new();
        loop {
            let cursor = pages.last().and_then(|page| page.next.clone());
            let after = pages.last().and_then(|page| page.last);
            let page = question.page(self.gateway, &self.name, ask.limit, cursor.as_deref()).await;
            compare(after, &page)?;
            let is_last = page.next.is_none();
            pages.push(page);
            if is_last {
                break;
            }
        }
        // What has no end goes on while it is asked for.
        if question.call.to.is_some() {
            truth::pages(&whole, &pages, ask.desc)?;
            truth::pages(&lines, &pages, ask.desc)?;
            // Some have all in one step, some nearly each event in its own.
            let step_s = [2, 5, 60, 3_600][ask.limit % 4];
            let timeline = question.timeline(self.gateway, &self.name, step_s).await;
            truth::timeline(&whole, &timeline, step_s).map_err(|why| {
                format!("{why}\n{question:?}\nonline: {is_online}\n{timeline:#?}\n{whole:#?}")
            })?;
        }
        Ok(())
    }

    fn question(&self, ask: &Ask) -> Question {
        let camera = self.device.camera();
        let times: Vec<_> = camera.written().map(|event| event.event.at).collect();
        let range = ask.range.filter(|_| !times.is_empty()).map(|(a, b)| {
            let (a, b) = (times[a % times.len()], times[b % times.len()]);
            (a.min(b), a.max(b))
        });
        Question::new(range, ask.desc, ask.filter)
    }
}

#[test]
fn every_answer_is_what_was_written_and_says_what_of_that_is_missing() {
    let asked = std::env::var(HISTORIES).ok().map(|text| text.parse().unwrap());
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let gateway = runtime.block_on(TestGateway::with(|config| config.data = data.clone()));
    let store = Store::open(&data).unwrap();
    let cases = asked.unwrap_or(USUALLY);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = match asked {
        Some(_) => TestRunner::new(config),
        // The same for everybody, unless somebody asks for more.
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let cameras = Cell::new(0);
    let verdict = runner.run(&vec(step(), 3..24), |steps| {
        cameras.set(cameras.get() + 1);
        runtime.block_on(async {
            let mut history = History::new(&gateway, &store, cameras.get()).await;
            for step in &steps {
                history.happen(step).await.map_err(TestCaseError::fail)?;
            }
            history.device.leave(&gateway).await;
            Ok(())
        })
    });
    if let Err(error) = verdict {
        panic!("{error}");
    }
}
