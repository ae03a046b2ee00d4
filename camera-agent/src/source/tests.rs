//! What the tests of all sources share.

pub(super) mod stand;
