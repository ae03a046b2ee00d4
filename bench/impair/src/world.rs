//! A gateway in one namespace and a device's agent in the other: the programs themselves, as people run them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    api::Api,
    failure::Failure,
    impairment::Impairment,
    pair::{GATEWAY, Pair},
    picture,
    process::{Process, run},
};

/// The camera that is asked.
pub(crate) const CAMERA: &str = "yard";

/// The camera whose picture is large.
pub(crate) const PICTURES: &str = "gate";

/// The gateway's port, in a namespace of its own.
const PORT: u16 = 8080;

/// How long the agent may take to connect, over the worst link.
pub(crate) const ONLINE_WITHIN: Duration = Duration::from_secs(60);

/// What runs over the link.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Programs {
    /// Where `oriel` and `camera-agent` are [default: beside this program]
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Congestion control of both ends' kernels; cubic is what Linux uses unless told otherwise
    #[arg(long, value_name = "NAME", default_value = "cubic")]
    pub(crate) congestion: String,
    /// What both programs log
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
    /// Write what both programs log into this folder, a file for each
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
}

/// How a world is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// What the link does.
    pub(crate) impairment: Impairment,
    /// The gateway's `--heartbeat`.
    pub(crate) heartbeat: &'static str,
    /// Events in the camera's log.
    pub(crate) events: u32,
    /// Bytes of the picture of a second camera; none without one.
    pub(crate) picture: Option<usize>,
}

/// A gateway and a device that are connected.
#[derive(Debug)]
pub(crate) struct World {
    /// Asks the gateway.
    pub(crate) api: Api,
    /// `camera-agent run`.
    pub(crate) agent: Process,
    /// `oriel serve`.
    pub(crate) gateway: Process,
    /// The namespaces.
    pub(crate) pair: Pair,
    _folder: TempDir,
}

impl World {
    /// Starts both and waits until the camera is online.
    pub(crate) fn start(programs: &Programs, setup: &Setup) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let (oriel, camera_agent) = (programs.find("oriel")?, programs.find("camera-agent")?);
        let (data, code) = (folder.path().join("data"), folder.path().join("code"));
        let mut keys = Command::new(&oriel);
        keys.args(["keys", "add", "--role", "admin", "--all", "--data"]).arg(&data);
        let key = run(keys)?;
        let mut enroll = Command::new(&oriel);
        enroll.args(["enroll", "--camera", CAMERA, "--camera", PICTURES]);
        enroll.arg("--data").arg(&data).arg("--out").arg(&code);
        run(enroll)?;

        let pair = Pair::of_this_process(&setup.impairment)?;
        pair.congestion(&programs.congestion)?;
        let url = format!("http://{GATEWAY}:{PORT}");
        let mut serve = Command::new(&oriel);
        serve.args(["serve", "--insecure", "--metrics-listen", "off", "--heartbeat", setup.heartbeat]);
        serve.args(["--listen", &format!("{GATEWAY}:{PORT}"), "--log", &programs.log]);
        serve.arg("--data").arg(&data);
        let began = Instant::now();
        let gateway = Process::start(&pair.gateway, serve, programs.log_file("gateway")?)?;
        gateway.says("serving", began, ONLINE_WITHIN)?;

        let config = folder.path().join("agent.toml");
        let mut text = agent_config(&url, &code, setup.events);
        if let Some(bytes) = setup.picture {
            text += &camera_with_picture(folder.path(), bytes)?;
        }
        fs::write(&config, text)?;
        let mut agent = Command::new(&camera_agent);
        agent.args(["run", "--config"]).arg(&config).env("CAMERA_AGENT_LOG", &programs.log);
        let agent = Process::start(&pair.device, agent, programs.log_file("agent")?)?;
        let world = Self { api: Api::new(&url, &key), agent, gateway, pair, _folder: folder };
        world.until_online(began)?;
        if setup.picture.is_some() {
            world.beside_the_gateway(|| world.until_it_has_a_picture())?;
        }
        Ok(world)
    }

    /// Waits until the agent's camera has been taken, after `since`; when that was.
    pub(crate) fn until_online(&self, since: Instant) -> Result<Instant, Failure> {
        self.agent.says("the camera is taken", since, ONLINE_WITHIN)
    }

    /// Waits until the second camera's picture can be asked for.
    fn until_it_has_a_picture(&self) -> Result<(), Failure> {
        let until = Instant::now() + ONLINE_WITHIN;
        loop {
            let path = format!("/v1/cameras/{PICTURES}/images?class=main&wait_online=30s");
            let answer = self.api.ask(&path, ONLINE_WITHIN);
            if answer.body["images"].as_array().is_some_and(|images| !images.is_empty()) {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(Failure::Late(format!("there is no picture: {}", answer.summary())));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Does `work` as a caller beside the gateway.
    pub(crate) fn beside_the_gateway<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        self.pair.gateway.inside(work)?
    }

    /// Ends both programs as people do.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        self.agent.end()?;
        self.gateway.end()
    }
}

impl Programs {
    /// Where a program's lines are kept, if they are.
    fn log_file(&self, name: &str) -> Result<Option<File>, Failure> {
        let Some(folder) = &self.logs else { return Ok(None) };
        fs::create_dir_all(folder)?;
        Ok(Some(File::options().create(true).append(true).open(folder.join(format!("{name}.log")))?))
    }

    fn find(&self, name: &str) -> Result<PathBuf, Failure> {
        let beside = std::env::current_exe()?.parent().map(Path::to_owned).unwrap_or_default();
        let path = self.programs.clone().unwrap_or(beside).join(name);
        match path.metadata() {
            Ok(_) => Ok(path),
            Err(why) => Err(Failure::Missing { program: path.display().to_string(), why }),
        }
    }
}

/// A camera without pictures whose log is long and grows by an event a minute. It stays on its device, so that each question for it
/// goes over the link, and nothing else does.
fn agent_config(url: &str, code: &Path, events: u32) -> String {
    let code = code.display();
    format!(
        "state = \"state\"\n\
         [[gateway]]\nurl = \"{url}\"\ninsecure = true\ncode_file = \"{code}\"\n\
         [[camera]]\nid = \"{CAMERA}\"\nupload = \"on_demand\"\n\
         source = {{ type = \"simulator\", interval_ms = 60000, seed = 1, backfill = {events}, preview_ms = 0, main_ms = 0 }}\n"
    )
}

/// A camera that has put one picture of full size into its folder.
fn camera_with_picture(folder: &Path, bytes: usize) -> Result<String, Failure> {
    let folder = folder.join("drop");
    fs::create_dir(&folder)?;
    fs::write(folder.join("picture.jpg"), picture::jpeg(bytes))?;
    Ok(format!(
        "[[camera]]\nid = \"{PICTURES}\"\n\
         source = {{ type = \"folder\", path = {folder:?}, times = \"file\", class = \"main\" }}\n"
    ))
}
