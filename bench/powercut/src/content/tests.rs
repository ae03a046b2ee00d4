//! A file against a plain array of bytes, and what a torn cut may leave of it.

#![allow(clippy::unwrap_used, reason = "what these helpers cannot do fails the test")]

use rand::SeedableRng as _;

use super::*;

fn disk() -> File {
    tempfile::tempfile().unwrap()
}

fn whole(content: &Content) -> Vec<u8> {
    content.read(0, u64::MAX).unwrap()
}

/// Does one random thing to both.
fn step(chance: &mut SmallRng, content: &mut Content, model: &mut Vec<u8>) {
    let at = chance.random_range(0..20_000_usize);
    if chance.random_bool(0.2) {
        content.resize(at as u64);
        model.resize(at, 0);
        return;
    }
    let bytes = vec![chance.random::<u8>(); chance.random_range(0..10_000)];
    content.write(at as u64, &bytes).unwrap();
    if !bytes.is_empty() {
        model.resize(model.len().max(at + bytes.len()), 0);
        model[at..at + bytes.len()].copy_from_slice(&bytes);
    }
}

#[test]
fn programs_see_what_they_wrote_and_the_disk_has_what_they_synced() {
    for seed in 0..50 {
        let mut chance = SmallRng::seed_from_u64(seed);
        let file = disk();
        let (mut content, mut model) = (Content::on_disk(file.try_clone().unwrap(), 0), Vec::new());
        let mut synced = Vec::new();
        for _ in 0..60 {
            step(&mut chance, &mut content, &mut model);
            assert_eq!(whole(&content), model, "seed {seed}");
            if chance.random_bool(0.2) {
                content.sync().unwrap();
                synced.clone_from(&model);
            }
            let len = file.metadata().unwrap().len();
            assert_eq!(whole(&Content::on_disk(file.try_clone().unwrap(), len)), synced, "seed {seed}");
        }
    }
}

#[test]
fn a_torn_cut_leaves_each_page_old_or_new() {
    let mut kept = [0; 2];
    for seed in 0..50 {
        let file = disk();
        let mut content = Content::on_disk(file.try_clone().unwrap(), 0);
        content.write(0, &[1; 8 * 4096]).unwrap();
        content.sync().unwrap();
        content.write(100, &[2; 7 * 4096]).unwrap();
        let loss = content.tear(&mut SmallRng::seed_from_u64(seed)).unwrap();
        let left = whole(&Content::on_disk(file, 8 * 4096));
        let new = left.chunks(4096).filter(|page| page.contains(&2)).count() as u64;
        assert_eq!((loss.kept_pages, loss.kept_pages + loss.lost_pages), (new, 8));
        assert!(left[4096..7 * 4096].chunks(4096).all(|page| page.iter().all(|byte| *byte == page[0])));
        kept[usize::from(new > 4)] += 1;
    }
    assert!(kept[0] > 5 && kept[1] > 5, "{kept:?}");
}

#[test]
fn pages_behind_a_shortening_are_kept_only_with_it() {
    let mut seen = [false; 2];
    for seed in 0..50 {
        let file = disk();
        let mut content = Content::on_disk(file.try_clone().unwrap(), 0);
        content.write(0, &[1; 4 * 4096]).unwrap();
        content.sync().unwrap();
        content.resize(4096);
        content.write(4096, &[2; 3 * 4096]).unwrap();
        content.tear(&mut SmallRng::seed_from_u64(seed)).unwrap();
        let len = file.metadata().unwrap().len();
        let left = whole(&Content::on_disk(file, len));
        let (old, new) = (left[4096..].contains(&1), left[4096..].contains(&2));
        assert!(!(old && new), "seed {seed}");
        seen = [seen[0] || old, seen[1] || new];
    }
    assert_eq!(seen, [true, true]);
}
