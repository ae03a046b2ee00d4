//! Which series a still belongs to when its source makes one kind alone: all are small ones, and one a minute stands for the full size.

use std::time::Duration;

use oriel_proto::{ImageClass, Timestamp};

/// How far apart pictures of the full size are.
const APART: Duration = Duration::from_secs(60);

/// Sorts stills into series.
#[derive(Debug)]
pub(super) struct Sorting {
    given: Option<ImageClass>,
    last_main: Option<Timestamp>,
}

impl Sorting {
    /// All into the series that is given, else as they come.
    pub(super) const fn new(given: Option<ImageClass>) -> Self {
        Self { given, last_main: None }
    }

    /// The series that a picture of this time goes to; call [`Sorting::kept`] for each.
    pub(super) fn classes(&self, at: Timestamp) -> Vec<ImageClass> {
        if let Some(given) = &self.given {
            return vec![given.clone()];
        }
        let is_due = self.last_main.is_none_or(|last| at.since(last).max(last.since(at)) >= APART);
        if is_due { vec![ImageClass::Preview, ImageClass::Main] } else { vec![ImageClass::Preview] }
    }

    /// A picture of this time was kept in a series.
    pub(super) fn kept(&mut self, class: &ImageClass, at: Timestamp) {
        if *class == ImageClass::Main {
            self.last_main = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_picture_a_minute_is_also_of_the_full_size() {
        let mut sorting = Sorting::new(None);
        let mut mains = Vec::new();
        for second in 0..150 {
            let at = Timestamp::from_millis(second * 1_000);
            let classes = sorting.classes(at);
            assert!(classes.contains(&ImageClass::Preview));
            if classes.contains(&ImageClass::Main) {
                sorting.kept(&ImageClass::Main, at);
                mains.push(second);
            }
        }
        assert_eq!(mains, [0, 60, 120]);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_stop_the_full_size() {
        let mut sorting = Sorting::new(None);
        sorting.kept(&ImageClass::Main, Timestamp::from_millis(1_000_000_000));
        assert!(sorting.classes(Timestamp::from_millis(0)).contains(&ImageClass::Main));
    }

    #[test]
    fn a_given_series_takes_all() {
        let sorting = Sorting::new(Some(ImageClass::Main));
        assert_eq!(sorting.classes(Timestamp::default()), [ImageClass::Main]);
    }
}
