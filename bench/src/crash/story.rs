//! The story that a simulated camera tells: the same events in the same order in each life of its agent, from the beginning.
//!
//! It is learned from another camera with the same seed, whose agent lives undisturbed, so it is known without any word of those
//! that are killed.

use std::net::Ipv4Addr;

use oriel_proto::{CameraId, Timestamp};

use super::row::{self, Row, Said};
use crate::{
    device::{Device, Simulated},
    failure::{Failure, Result},
    gateway::Gateway,
};

/// What a camera says, in its order.
#[derive(Debug)]
pub(super) struct Story(Vec<Said>);

impl Story {
    /// Learns the first `length` events of the story of this seed, from `camera`, which is made for it; `like` says by which program.
    pub(super) async fn learn(
        gateway: &Gateway,
        camera: &CameraId,
        length: u64,
        like: &Simulated,
    ) -> Result<Self> {
        let simulated = Simulated { backfill: length, live: false, ..like.clone() };
        let _device = Device::start_as(camera, &[gateway], simulated).await?;
        let mut caller = gateway.caller(Ipv4Addr::LOCALHOST);
        let log = row::log(&mut caller, camera, "source=camera&wait_online=30s&timeout=30s").await?;
        let said = log.rows.into_iter().map(|row| row.said).take(length as usize).collect::<Vec<_>>();
        if said.len() as u64 == length {
            Ok(Self(said))
        } else {
            Err(Failure::new(format!("{camera} tells only {} of {length} events", said.len())))
        }
    }

    /// How many of the lives that began at these times, in their order, told something else than the beginning of the story. `told`
    /// is the whole log, oldest first. An event of before the first life is of none, and counts as one.
    pub(super) fn broken(&self, lives: &[Timestamp], told: &[Row]) -> u64 {
        let first = lives.first().copied().unwrap_or(Timestamp::MAX);
        let mut broken = u64::from(told.iter().any(|row| row.at < first));
        for (n, start) in lives.iter().enumerate() {
            let end = lives.get(n + 1).copied().unwrap_or(Timestamp::MAX);
            let mut life = told.iter().filter(|row| (*start..end).contains(&row.at)).map(|row| &row.said);
            let mut story = self.0.iter();
            broken += u64::from(!life.all(|said| story.next() == Some(said)));
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use oriel_proto::{Epoch, Event, Kind, Severity, event::Data};

    use super::*;

    /// Two lives, from 0 and from 100 ms on, that told three events each.
    fn told() -> (Story, Vec<Timestamp>, Vec<Row>) {
        let epoch = Epoch::new();
        let row = |seq: u64, millis: i64, word: u64| {
            let event = Event {
                at: Timestamp::from_millis(millis),
                kind: Kind::Motion,
                severity: Severity::Info,
                description: format!("word {word}"),
                data: Data::new(),
                image_at: None,
                was: None,
            };
            Row::of(epoch, seq, event)
        };
        let told: Vec<_> = [(0, 1), (10, 2), (20, 3), (100, 1), (110, 2), (120, 3)]
            .into_iter()
            .zip(1..)
            .map(|((millis, word), seq)| row(seq, millis, word))
            .collect();
        let story = Story((1..=5).map(|word| row(word, 0, word).said).collect());
        (story, vec![Timestamp::from_millis(0), Timestamp::from_millis(100)], told)
    }

    #[test]
    fn every_life_tells_the_story_from_its_beginning() {
        let (story, lives, mut told) = told();
        assert_eq!(story.broken(&lives, &told), 0);
        // What was not written before a life ended is missed by nobody.
        told.remove(2);
        assert_eq!(story.broken(&lives, &told), 0);
    }

    #[test]
    fn a_life_that_leaves_out_or_repeats_something_is_seen() {
        for n in [0, 1, 3, 4] {
            let (story, lives, mut told) = told();
            told.remove(n);
            assert_eq!(story.broken(&lives, &told), 1, "without {n}");
        }
        let (story, lives, mut told) = told();
        told.insert(1, told[0].clone());
        assert_eq!(story.broken(&lives, &told), 1);
        assert_eq!(story.broken(&lives[1..], &told[..1]), 1);
    }
}
