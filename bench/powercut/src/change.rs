//! Changes of names that are not durable yet, and which of them build on which.

use std::{collections::BTreeSet, ffi::OsString, mem};

use rand::{RngExt as _, rngs::SmallRng};

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The folder's number.
    pub(crate) folder: u64,
    /// The name in it.
    pub(crate) name: OsString,
}

/// What happened to names; files and folders are told by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A file or folder was made.
    Made { node: u64, place: Place },
    /// A file or folder was removed.
    Removed { node: u64, place: Place },
    /// A file or folder was renamed, over another one or not.
    Moved { node: u64, from: Place, to: Place, replaced: Option<u64> },
}

impl Change {
    /// Whether this is how `node` came to be.
    pub(crate) fn makes(&self, node: u64) -> bool {
        matches!(self, Self::Made { node: made, .. } if *made == node)
    }

    /// Whether a name in `folder` changed.
    pub(crate) fn is_in(&self, folder: u64) -> bool {
        self.places().any(|place| place.folder == folder)
    }

    /// Whether this cannot have happened without `earlier`.
    fn builds_on(&self, earlier: &Self) -> bool {
        let same_place = || self.places().any(|place| earlier.places().any(|other| other == place));
        let same_node = || self.nodes().any(|node| earlier.nodes().any(|other| other == node));
        // A folder is made before what is in it, and emptied before it is removed.
        let inside = || earlier.nodes().any(|node| self.is_in(node));
        let around = || self.nodes().any(|node| earlier.is_in(node));
        same_place() || same_node() || inside() || around()
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        let (first, second) = match self {
            Self::Made { place, .. } | Self::Removed { place, .. } => (place, None),
            Self::Moved { from, to, .. } => (from, Some(to)),
        };
        [first].into_iter().chain(second)
    }

    fn nodes(&self) -> impl Iterator<Item = u64> {
        let (first, second) = match self {
            Self::Made { node, .. } | Self::Removed { node, .. } => (*node, None),
            Self::Moved { node, replaced, .. } => (*node, *replaced),
        };
        [first].into_iter().chain(second)
    }
}

/// Changes that are not durable yet, in the order in which they happened.
#[derive(Debug, Default)]
pub(crate) struct Pending(Vec<Change>);

impl Pending {
    /// One more happened.
    pub(crate) fn push(&mut self, change: Change) {
        self.0.push(change);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Takes those that are wanted and all that they build on, in order.
    pub(crate) fn take(&mut self, wanted: impl Fn(&Change) -> bool) -> Vec<Change> {
        let mut numbers = BTreeSet::new();
        for (number, change) in self.0.iter().enumerate().rev() {
            let needed = || numbers.iter().any(|later: &usize| self.0[*later].builds_on(change));
            if wanted(change) || needed() {
                numbers.insert(number);
            }
        }
        let all = mem::take(&mut self.0).into_iter().enumerate();
        let (taken, left): (Vec<_>, Vec<_>) = all.partition(|(number, _)| numbers.contains(number));
        self.0 = left.into_iter().map(|(_, change)| change).collect();
        taken.into_iter().map(|(_, change)| change).collect()
    }

    /// Takes those that chance keeps of a power cut, in order; none without all that it builds on.
    pub(crate) fn tear(&mut self, chance: &mut SmallRng) -> Vec<Change> {
        let share = chance.random::<f64>();
        let mut kept = Vec::new();
        for change in mem::take(&mut self.0) {
            let groundless = self.0.iter().any(|lost| change.builds_on(lost));
            if chance.random_bool(share) && !groundless {
                kept.push(change);
            } else {
                self.0.push(change);
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: u64, name: &str) -> Place {
        Place { folder, name: name.into() }
    }

    fn made(node: u64, folder: u64, name: &str) -> Change {
        Change::Made { node, place: place(folder, name) }
    }

    fn moved(node: u64, from: Place, to: Place, replaced: Option<u64>) -> Change {
        Change::Moved { node, from, to, replaced }
    }

    #[test]
    fn what_is_made_durable_takes_along_what_it_builds_on_and_nothing_else() {
        let changes = [
            made(2, 1, "folder"),
            made(3, 1, "other"),
            made(4, 2, "old"),
            moved(4, place(2, "old"), place(2, "new"), None),
            made(5, 2, "old"),
        ];
        let mut pending = Pending(changes.to_vec());
        assert_eq!(pending.take(|change| change.makes(3)), [changes[1].clone()]);
        // The name was free only because of the rename.
        let taken = pending.take(|change| change.makes(5));
        assert_eq!(taken, [&changes[0], &changes[2], &changes[3], &changes[4]].map(Clone::clone));
        assert_eq!(pending.count(), 0);
    }

    #[test]
    fn a_folder_is_emptied_before_it_is_removed() {
        let emptied = Change::Removed { node: 3, place: place(2, "file") };
        let removed = Change::Removed { node: 2, place: place(1, "folder") };
        let mut pending = Pending(vec![emptied.clone(), removed.clone()]);
        assert_eq!(pending.take(|change| change.is_in(1)), [emptied, removed]);
    }

    #[test]
    fn a_file_s_creation_does_not_take_along_its_rename() {
        let changes = [made(2, 1, "a"), moved(2, place(1, "a"), place(1, "b"), None)];
        let mut pending = Pending(changes.to_vec());
        assert_eq!(pending.take(|change| change.makes(2)), [changes[0].clone()]);
        assert_eq!(pending.count(), 1);
    }
}
