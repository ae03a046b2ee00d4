//! The pages of many cameras as one: the first events of all of them in the total order, however many cameras there are.

use oriel_proto::{CameraId, call::Order, event::Position};

use super::{Coverage, Page, coverage::clip, merge::is_behind};

/// Events are sorted and the rest is dropped when there are so many times more than wanted.
const SLACK: usize = 4;

/// A page that grows together from those of many cameras.
#[derive(Debug)]
pub struct Gathered {
    order: Order,
    limit: usize,
    events: Vec<(Position, Box<[u8]>)>,
    /// The place behind which one of the cameras has more than was asked of it.
    bound: Option<Position>,
    /// Whether there is more than this page will have.
    more: bool,
    coverage: Vec<(CameraId, Vec<Coverage>)>,
}

/// A page of many cameras.
#[derive(Debug)]
pub struct Whole {
    /// The JSON of its events in their order, with commas between them.
    pub events: Vec<u8>,
    /// The place of the last one, if there is more.
    pub last: Option<Position>,
    /// What it says something about of each camera, and what it cannot.
    pub coverage: Vec<(CameraId, Vec<Coverage>)>,
}

impl Gathered {
    /// Nothing yet, of which there may be so many events.
    pub const fn new(order: Order, limit: usize) -> Self {
        Self { order, limit, events: Vec::new(), bound: None, more: false, coverage: Vec::new() }
    }

    /// Adds a camera's page, which had the same limit.
    pub fn add(&mut self, camera: CameraId, page: Page) {
        let Page { events, last, more, coverage, .. } = page;
        self.events.extend((0..).map_while(|n| events.get(n)).map(|(place, json)| (place, Box::from(json))));
        self.coverage.push((camera, coverage));
        self.more |= more;
        if let Some(last) = last.filter(|_| more)
            && self.bound.is_none_or(|bound| is_behind(&self.order, bound, last))
        {
            self.bound = Some(last);
        }
        if self.events.len() > SLACK * self.limit {
            self.settle();
        }
    }

    /// Leaves the events that the page will have.
    fn settle(&mut self) {
        self.events.sort_unstable_by_key(|(place, _)| *place);
        if self.order == Order::Desc {
            self.events.reverse();
        }
        let before = self.events.len();
        if let Some(bound) = self.bound {
            let order = &self.order;
            let within = self.events.partition_point(|(place, _)| !is_behind(order, *place, bound));
            self.events.truncate(within);
        }
        self.events.truncate(self.limit);
        self.more |= self.events.len() < before;
    }

    /// The page.
    pub fn finish(mut self) -> Whole {
        self.settle();
        let last = self.events.last().map(|(place, _)| *place).filter(|_| self.more);
        let mut json = Vec::with_capacity(self.events.iter().map(|(_, json)| json.len() + 1).sum());
        for (n, (_, event)) in self.events.iter().enumerate() {
            if n > 0 {
                json.push(b',');
            }
            json.extend_from_slice(event);
        }
        self.coverage.sort_by(|(a, _), (b, _)| a.cmp(b));
        if let Some(last) = last {
            self.coverage.iter_mut().for_each(|(_, coverage)| clip(coverage, &self.order, last.at));
        }
        Whole { events: json, last, coverage: self.coverage }
    }
}

#[cfg(test)]
mod tests {
    use oriel_proto::{Epoch, Timestamp, view::EventView};

    use super::*;
    use crate::events::{CoveredBy, Timing, text::Text};

    /// A page with events at these times, which covers the time up to 100.
    fn page(camera: &str, times: &[i64], more: bool) -> (CameraId, Page) {
        let camera: CameraId = camera.parse().unwrap();
        let (mut events, epoch) = (Text::of(&camera, "", b',', 0), Epoch::new());
        for (seq, at) in (1..).zip(times) {
            events.push(&EventView {
                epoch,
                seq,
                at: Timestamp::from_millis(*at),
                kind: "motion",
                severity: "info",
                description: "",
                data: oriel_proto::event::Data::new(),
                image_at: None,
                was: None,
            });
        }
        let stretch = Coverage { from: None, to: Timestamp::from_millis(100), by: CoveredBy::Store };
        let (last, coverage) = (events.last(), vec![stretch]);
        (camera, Page { events, last, more, coverage, timing: Timing::default() })
    }

    /// The times of the page's events, that of the last one if there is more, and what is covered.
    type Told = (Vec<i64>, Option<i64>, Vec<(Option<i64>, i64)>);

    fn gathered(order: Order, limit: usize, pages: &[(&str, &[i64], bool)]) -> Told {
        let mut all = Gathered::new(order, limit);
        for (camera, times, more) in pages {
            let (camera, page) = page(camera, times, *more);
            all.add(camera, page);
        }
        let Whole { events: json, last, coverage } = all.finish();
        let events: Vec<serde_json::Value> =
            serde_json::from_str(&format!("[{}]", String::from_utf8(json).unwrap())).unwrap();
        let millis = |time: Timestamp| time.as_micros() / 1_000;
        let at = |event: &serde_json::Value| {
            millis(crate::clock::parse(event["at"].as_str().unwrap(), Timestamp::default()).unwrap())
        };
        let coverage = coverage.into_iter().flat_map(|(_, coverage)| coverage);
        let coverage = coverage.map(|stretch| (stretch.from.map(millis), millis(stretch.to))).collect();
        (events.iter().map(at).collect(), last.map(|last| millis(last.at)), coverage)
    }

    #[test]
    fn the_first_of_all_cameras_are_the_page_and_what_it_covers_ends_with_them() {
        let asc = gathered(Order::Asc, 3, &[("b", &[1, 5, 9], true), ("a", &[2, 3], false)]);
        assert_eq!(asc, (vec![1, 2, 3], Some(3), vec![(None, 3), (None, 3)]));
        let desc = gathered(Order::Desc, 3, &[("b", &[9, 5, 1], true), ("a", &[3, 2], false)]);
        assert_eq!(desc, (vec![9, 5, 3], Some(3), vec![(Some(3), 100), (Some(3), 100)]));
        let all = gathered(Order::Asc, 9, &[("b", &[1, 5], false), ("a", &[], false)]);
        assert_eq!(all, (vec![1, 5], None, vec![(None, 100), (None, 100)]));
    }

    #[test]
    fn a_page_ends_where_one_camera_gave_up_searching() {
        let all = gathered(Order::Asc, 9, &[("b", &[1, 5], true), ("a", &[2, 8], false)]);
        assert_eq!(all, (vec![1, 2, 5], Some(5), vec![(None, 5), (None, 5)]));
    }

    #[test]
    fn of_many_cameras_only_what_the_page_needs_is_held() {
        let mut all = Gathered::new(Order::Asc, 2);
        for n in 0..100 {
            let (camera, page) = page(&format!("camera-{n}"), &[n, n + 1], true);
            all.add(camera, page);
            assert!(all.events.len() <= SLACK * 2 + 2);
        }
        assert_eq!(all.finish().last.map(|last| last.at), Some(Timestamp::from_millis(1)));
    }
}
