//! When each agent was welcomed at the second gateway, and when its socket at the first closed, as their logs say.

use std::{collections::HashMap, time::Duration};

use oriel_gateway::clock;
use oriel_proto::Timestamp;

use crate::{
    device::Device,
    failure::{Failure, Result},
    gateway::Gateway,
    report::{Report, millis},
    stats::Times,
};

/// Checks that every agent was at the second before its old socket closed.
pub(super) fn check(
    devices: &[Device],
    first: &Gateway,
    second: &Gateway,
    report: &mut Report,
) -> Result<()> {
    let (closed, welcomed) = (moments(first, " disconnected ")?, moments(second, " connected ")?);
    let (mut overlaps, mut apart) = (Times::default(), 0);
    for device in devices {
        let [at_first, at_second] = device.agents.as_slice() else {
            return Err(Failure::new("a device is not enrolled at two gateways"));
        };
        match (welcomed.get(&at_second.to_string()), closed.get(&at_first.to_string())) {
            (Some(welcomed), Some(closed)) if welcomed < closed => {
                let micros = closed.as_micros().abs_diff(welcomed.as_micros());
                overlaps.push(Duration::from_micros(micros));
            }
            (welcomed, closed) => {
                apart += 1;
                report.progress(format!("agent {at_first}: welcomed {welcomed:?}, closed {closed:?}"));
            }
        }
    }
    let told = [0.0, 0.5, 1.0].map(|q| millis(overlaps.quantile(q))).join(", ");
    report.figure("connected to both for: shortest, p50, longest", told);
    report.none("agents that were not at the second before their old socket closed", apart);
    Ok(())
}

/// The moment of the first line of each agent that holds `word`, by its id.
fn moments(gateway: &Gateway, word: &str) -> Result<HashMap<String, Timestamp>> {
    let mut moments = HashMap::new();
    for line in gateway.log()?.lines().filter(|line| line.contains(word)) {
        let time = line.split_whitespace().next().unwrap_or_default();
        let agent = line.split_once("agent=").and_then(|(_, rest)| rest.split_whitespace().next());
        let agent = agent.ok_or_else(|| Failure::new(format!("no agent in {line:?}")))?;
        let agent = agent.trim_end_matches('}').to_owned();
        let time = clock::parse(time, Timestamp::default())?;
        moments.entry(agent).or_insert(time);
    }
    Ok(moments)
}
