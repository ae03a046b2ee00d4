//! Whatever happened to a camera's pictures, each way to ask for them agrees with the files in its ring.

mod asking;
mod ring;

use std::{fs, path::PathBuf};

use camera_agent::{
    Config,
    config::{CameraConfig, FolderConfig, GatewayConfig, SourceConfig, Times},
};
use oriel_proto::{ImageClass, call::ImageMatch};
use proptest::{
    collection::vec,
    prelude::*,
    sample::Index,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use self::ring::{BLOCK, Ring};
use crate::common::*;

/// Something that happens to pictures.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody puts a picture into the camera's folder, taken so many milliseconds ago.
    Drop {
        ago_ms: i64,
        large: bool,
    },
    /// A picture whose end is missing, or what is none, lies in the camera's folder.
    Half {
        ago_ms: i64,
    },
    Foreign {
        name: usize,
    },
    /// The agent is started again; while it is away some happens to the ring's folder.
    Restart(Vec<Away>),
    Ask(Ask),
}

/// What happens to the ring's folder while nobody looks.
#[derive(Clone, Debug)]
enum Away {
    Lay { ago_ms: i64, large: bool },
    Cut { place: Index },
    Remove { place: Index },
    Foreign { name: usize },
}

/// A question; places count pictures from the oldest.
#[derive(Clone, Debug)]
enum Ask {
    /// A list of those between two places, in pages of so many.
    List {
        from: Index,
        to: Index,
        most: usize,
        desc: bool,
    },
    Latest,
    /// The one at or next to a place's time, or to a time near it.
    One {
        matching: ImageMatch,
        place: Index,
        beside_ms: i64,
    },
    Numbers {
        minutes: i64,
    },
    Archive {
        from: Index,
        to: Index,
    },
}

fn ago() -> impl Strategy<Value = i64> {
    // Well within the seven hours that pictures are kept, or well before.
    prop_oneof![12 => 60_000..6 * 3_600_000_i64, 1 => 8 * 3_600_000..30 * 3_600_000_i64]
}

fn away() -> impl Strategy<Value = Away> {
    prop_oneof![
        6 => (ago(), any::<bool>()).prop_map(|(ago_ms, large)| Away::Lay { ago_ms, large }),
        2 => any::<Index>().prop_map(|place| Away::Cut { place }),
        1 => any::<Index>().prop_map(|place| Away::Remove { place }),
        1 => (0..ring::FOREIGN.len()).prop_map(|name| Away::Foreign { name }),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let place = any::<Index>;
    let matching = prop_oneof![Just(ImageMatch::Exact), Just(ImageMatch::Before), Just(ImageMatch::After)];
    let list = (place(), place(), 1..6_usize, any::<bool>());
    prop_oneof![
        3 => list.prop_map(|(from, to, most, desc)| Ask::List { from, to, most, desc }),
        2 => Just(Ask::Latest),
        6 => (matching, place(), -1..=1_i64)
            .prop_map(|(matching, place, beside_ms)| Ask::One { matching, place, beside_ms }),
        2 => (1..120_i64).prop_map(|minutes| Ask::Numbers { minutes }),
        1 => (place(), place()).prop_map(|(from, to)| Ask::Archive { from, to }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (ago(), any::<bool>()).prop_map(|(ago_ms, large)| Step::Drop { ago_ms, large }),
        1 => ago().prop_map(|ago_ms| Step::Half { ago_ms }),
        1 => (0..ring::FOREIGN.len()).prop_map(|name| Step::Foreign { name }),
        3 => vec(away(), 0..8).prop_map(Step::Restart),
        9 => ask().prop_map(Step::Ask),
    ]
}

/// A real agent with one camera, whose pictures come out of a folder.
struct Device {
    folder: TempDir,
    config: Config,
    ring: Ring,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Device {
    async fn new(gateway: &TestGateway, camera: &str) -> Self {
        let made = gateway.post("/v1/enrollments", json!({"cameras": [camera]})).await.expect(201).json();
        let mut list = GatewayConfig::new(format!("http://{}", gateway.address).parse().unwrap());
        list.code = Some(made["code"].as_str().unwrap().into());
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("drop")).unwrap();
        let source = SourceConfig::Folder(FolderConfig {
            path: folder.path().join("drop"),
            depth: 1,
            times: Times::Name,
            time_zone: "UTC".into(),
            remove: true,
            class: Some(ImageClass::Preview),
        });
        let simulated = CameraConfig::simulated(camera.parse().unwrap());
        let camera_config = CameraConfig {
            preview_bytes: ring::MOST as u64,
            images_retention: ring::RETENTION,
            source,
            ..simulated
        };
        let state = folder.path().join("state");
        let ring = Ring::new(state.join("images").join(camera).join("preview"));
        let config = Config { state, gateways: vec![list], cameras: vec![camera_config] };
        Self { folder, config, ring, running: None }
    }

    async fn start(&mut self, gateway: &TestGateway) {
        let (stop, config) = (CancellationToken::new(), self.config.clone());
        let stopping = stop.clone();
        let task = tokio::spawn(async move { camera_agent::run(config, stopping).await.unwrap() });
        let id = &self.config.cameras[0].id;
        until("the camera is there", async || gateway.registry.find(id).is_some()).await;
        self.running = Some((stop, task));
    }

    async fn stop(&mut self, gateway: &TestGateway) {
        let Some((stop, task)) = self.running.take() else { return };
        stop.cancel();
        soon("the agent stops", task).await.unwrap();
        let id = &self.config.cameras[0].id;
        until("the camera is away", async || gateway.registry.find(id).is_none()).await;
    }

    /// A file in the camera's folder.
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("drop").join(name)
    }

    async fn happen(&mut self, gateway: &TestGateway, step: &Step) -> Result<(), String> {
        match step {
            Step::Drop { ago_ms, large } => self.put(*ago_ms, *large).await,
            Step::Half { ago_ms } => {
                let (at_ms, jpeg) = self.ring.new_picture(*ago_ms, true);
                fs::write(self.file(&ring::name(at_ms)), &jpeg[..2 * BLOCK]).unwrap();
            }
            Step::Foreign { name } => {
                let name = ring::FOREIGN[*name].replace('/', "-");
                fs::write(self.file(&name), "no picture").unwrap();
            }
            Step::Restart(away) => {
                self.stop(gateway).await;
                away.iter().for_each(|away| self.ring.happen(away));
                self.start(gateway).await;
                self.ring.is_opened();
            }
            Step::Ask(ask) => {
                asking::asked(gateway, self.config.cameras[0].id.as_str(), &mut self.ring, ask).await?;
            }
        }
        self.ring.compare()
    }

    /// Puts a picture into the camera's folder, and waits until it is taken out.
    async fn put(&mut self, ago_ms: i64, large: bool) {
        let (at_ms, jpeg) = self.ring.new_picture(ago_ms, large);
        let named = self.file(&ring::name(at_ms));
        // One that the ring drops at once stays here.
        if self.ring.keep(at_ms, &jpeg) {
            fs::write(&named, &jpeg).unwrap();
            until("the picture is kept", async || !named.exists()).await;
        }
    }
}

#[test]
fn every_way_to_ask_agrees_with_the_files_in_the_ring() {
    let runtime = Runtime::new().unwrap();
    let gateway = runtime.block_on(TestGateway::start());
    let config = ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() };
    // The same for everybody.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let cameras = std::cell::Cell::new(0);
    let verdict = runner.run(&vec(step(), 5..30), |steps| {
        cameras.set(cameras.get() + 1);
        runtime.block_on(async {
            let mut device = Device::new(&gateway, &format!("camera-{}", cameras.get())).await;
            device.start(&gateway).await;
            for step in &steps {
                device.happen(&gateway, step).await.map_err(TestCaseError::fail)?;
            }
            device.stop(&gateway).await;
            Ok(())
        })
    });
    if let Err(error) = verdict {
        panic!("{error}");
    }
}
