//! How things break, and how they heal.

use turmoil::Sim;

use crate::{
    plan::{Node, What},
    world::World,
};

/// Breaks something.
pub(crate) fn begin(sim: &mut Sim<'_>, world: &World, what: What) {
    match what {
        What::Cut(a, b) => sim.partition(world.ip(a), world.ip(b)),
        What::OneWay(a, b) => sim.partition_oneway(world.ip(a), world.ip(b)),
        What::Hold(a, b) => sim.hold(world.ip(a), world.ip(b)),
        What::Slow(a, b, latency) => sim.set_link_latency(world.ip(a), world.ip(b), latency),
        What::Lossy(a, b, rate) => sim.set_link_fail_rate(world.ip(a), world.ip(b), rate),
        What::Killed(node) => {
            world.killed(node);
            sim.crash(world.ip(node));
        }
        What::PowerCut(node) => {
            // First the network, so that the system's farewells are lost.
            others(world, node).for_each(|other| sim.partition(world.ip(node), world.ip(other)));
            world.killed(node);
            sim.crash(world.ip(node));
        }
        What::Restart(node) => world.stop(node),
    }
}

/// Heals it again; fails when a program that was asked to stop still runs.
pub(crate) fn end(sim: &mut Sim<'_>, world: &World, what: What) -> Result<(), String> {
    match what {
        What::Cut(a, b) | What::OneWay(a, b) => sim.repair(world.ip(a), world.ip(b)),
        What::Hold(a, b) => sim.release(world.ip(a), world.ip(b)),
        What::Slow(a, b, _) => {
            let (least, most) = world.plan.latency;
            sim.set_link_latency(world.ip(a), world.ip(b), least);
            sim.set_link_max_message_latency(world.ip(a), world.ip(b), most);
        }
        What::Lossy(a, b, _) => {
            sim.set_link_fail_rate(world.ip(a), world.ip(b), 0.0);
            sim.repair(world.ip(a), world.ip(b));
        }
        What::Killed(node) => sim.bounce(world.ip(node)),
        What::PowerCut(node) => {
            others(world, node).for_each(|other| sim.repair(world.ip(node), world.ip(other)));
            sim.bounce(world.ip(node));
        }
        What::Restart(node) => {
            if sim.is_host_running(world.ip(node)) {
                return Err(format!("{node} did not stop"));
            }
            sim.bounce(world.ip(node));
        }
    }
    Ok(())
}

fn others(world: &World, node: Node) -> impl Iterator<Item = Node> {
    world.plan.nodes().into_iter().filter(move |other| *other != node)
}
