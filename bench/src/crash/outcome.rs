//! What is left in the end of all that simulated cameras wrote: the rest is uploaded, and each camera's whole log is read from the
//! store and compared with the camera's own list.

use std::{collections::HashSet, net::Ipv4Addr, time::Duration};

use oriel_proto::EventId;
use tokio::time::{Instant, sleep};

use super::{compare::Tally, light::Fleet, row};
use crate::{failure::Result, gateway::Gateway, report::Report};

/// An upload without any progress for so long has got stuck.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// How often the upload is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Of many things that are wrong, so many are told one by one.
const TOLD: usize = 10;

/// Waits until everything that was written is acknowledged, or gives up when nothing more is.
pub(super) async fn uploaded(fleet: &Fleet, report: &mut Report) {
    let (mut least, mut since) = (u64::MAX, Instant::now());
    loop {
        let counts = fleet.counts();
        let left = counts.written - counts.acked;
        if left == 0 {
            return;
        }
        if left < least {
            (least, since) = (left, Instant::now());
        } else if since.elapsed() > STUCK_AFTER {
            return report.check(false, format!("{left} events are never acknowledged"));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Compares what the store tells with what was written, camera by camera. A log that cannot be read tells nothing.
pub(super) async fn compare(gateway: &Gateway, fleet: &Fleet, report: &mut Report) {
    let mut caller = gateway.caller(Ipv4Addr::LOCALHOST);
    let (mut tally, mut acked_lost, mut own, mut incomplete) = (Tally::default(), 0, 0, 0);
    let mut wrong = Vec::new();
    for camera in &fleet.cameras {
        let log = row::log(&mut caller, &camera.id, "source=store").await.unwrap_or_else(|failure| {
            wrong.push(format!("{}: {failure}", camera.id));
            row::Log::default()
        });
        let (camera_tally, camera_acked_lost) = camera.compare(&log);
        if camera_tally != Tally::default() {
            wrong.push(format!("{}: {camera_tally:?}", camera.id));
        }
        tally.add(camera_tally);
        acked_lost += camera_acked_lost;
        own += log.own;
        incomplete += u64::from(!log.complete);
    }
    wrong.iter().take(TOLD).for_each(|wrong| report.progress(wrong));
    report.none("acknowledged and lost", acked_lost);
    tally.tell(report);
    report.none("logs that are not called complete", incomplete);
    report.figure("events that the gateway wrote itself", own);
}

/// How many events the store does not tell that were acknowledged before it was asked. A log that cannot be read tells nothing.
pub(super) async fn acked_lost(gateway: &Gateway, fleet: &Fleet, report: &Report) -> u64 {
    let mut caller = gateway.caller(Ipv4Addr::LOCALHOST);
    let (mut lost, mut unread) = (0, Vec::new());
    for camera in &fleet.cameras {
        let acked = camera.counts().acked;
        let log = row::log(&mut caller, &camera.id, "source=store").await.unwrap_or_else(|failure| {
            unread.push(format!("{}: {failure}", camera.id));
            row::Log::default()
        });
        let acknowledged = |id: &EventId| id.epoch == camera.epoch && id.seq <= acked;
        let held = log.rows.iter().map(|row| row.id).filter(acknowledged).collect::<HashSet<_>>();
        lost += acked - held.len() as u64;
    }
    unread.iter().take(TOLD).for_each(|unread| report.progress(unread));
    lost
}

/// Tells what the gateway said and did that nobody had given it a reason for, and what it logged.
pub(super) fn words(gateway: &Gateway, fleet: &Fleet, report: &mut Report) -> Result<()> {
    let faults = fleet.stage.faults();
    faults.iter().take(TOLD).for_each(|fault| report.progress(fault));
    report.none("words of the gateway that are not true", faults.len() as u64);
    report.figure("how tries to connect ended", fleet.stage.roll.endings());
    gateway.warnings()?.iter().take(TOLD).for_each(|warning| report.progress(warning));
    Ok(())
}
