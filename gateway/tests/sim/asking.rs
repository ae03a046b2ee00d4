//! What the clients of a run do: read every log while nothing is broken, ask anything while everything is, and ask again afterwards.

use std::rc::Rc;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Duration, sleep},
};

use crate::{
    plan::Burst,
    question::Question,
    truth::Told,
    world::{Phase, World},
};

/// Time between two questions of a burst: a listener takes only so many connections in one step.
const BURST_PAUSE: Duration = Duration::from_millis(2);

/// What a client does from beginning to end.
pub(crate) async fn run_client(world: Rc<World>, n: usize) -> turmoil::Result {
    if n == 0 {
        world.wait_for(Phase::Calm).await;
        read_logs(&world).await;
    }
    world.wait_for(Phase::Storm).await;
    let mut asking = JoinSet::new();
    for lane in 0..world.plan.clients[n] {
        let seed = world.plan.seed ^ (n as u64) << 32 ^ (lane as u64) << 40;
        asking.spawn_local(run_lane(Rc::clone(&world), n, StdRng::seed_from_u64(seed)));
    }
    if let (0, Some(burst)) = (n, world.plan.burst) {
        asking.spawn_local(run_burst(Rc::clone(&world), burst));
    }
    while let Some(asked) = asking.join_next().await {
        asked?;
    }
    if n == 0 {
        world.wait_for(Phase::Healed).await;
        for camera in 0..world.cameras.len() {
            let gateway = world.watch.borrow().places(&world, camera).first().copied();
            match gateway {
                Some(gateway) => Question::all(&world, gateway, camera).ask(&world).await,
                None => world.violated(|| format!("{} is not online any more", world.cameras[camera])),
            }
        }
    }
    Ok(())
}

/// Reads every camera's log to its end, as the truth that all answers are compared with.
async fn read_logs(world: &Rc<World>) {
    let mut truth = Vec::new();
    for camera in 0..world.cameras.len() {
        let gateway = world.watch.borrow().places(world, camera).first().copied().expect("it is online");
        Question::all(world, gateway, camera).ask(world).await;
        let asked = world.asked.borrow();
        let body = asked.last().map(|asked| asked.got.body.as_slice()).unwrap_or_default();
        let log = Told::lines(body).unwrap_or_default().entries;
        // The last one was written when the agent started; what lies before it stays as it is.
        let (agent, n) = world.plan.cameras()[camera];
        if log.len() as u64 != world.plan.agents[agent][n] + 1 {
            world.violated(|| format!("{} begins with {} events", world.cameras[camera], log.len()));
        }
        drop(asked);
        truth.push(log);
    }
    world.truth.replace(truth);
}

/// Asks one question after the other while everything is broken.
async fn run_lane(world: Rc<World>, client: usize, mut rng: StdRng) {
    while world.phase() == Phase::Storm {
        Question::draw(&world, client, &mut rng).ask(&world).await;
        sleep(Duration::from_millis(rng.random_range(0..500))).await;
    }
}

/// Asks more at once than a link takes, and gives up soon.
async fn run_burst(world: Rc<World>, burst: Burst) {
    sleep(burst.at).await;
    let mut asking = JoinSet::new();
    for n in 0..burst.questions {
        let question = Question {
            calm: false,
            timeout: Duration::from_millis(2_000 + n as u64 * 37 % 46 * 100),
            // Who has seen the beginning hangs up, so that most of the work is that of taking questions back.
            enough: 1_000 + n % 32 * 1_000,
            ..Question::all(&world, burst.gateway, world.plan.first_camera(burst.agent))
        };
        let world = Rc::clone(&world);
        asking.spawn_local(async move { question.ask(&world).await });
        sleep(BURST_PAUSE).await;
    }
    while asking.join_next().await.is_some() {}
}
