//! One seed, one run.

#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

use std::{
    collections::HashSet,
    thread,
    time::{Duration, SystemTime},
};

/// Things that are drawn by chance in different ways, and the time.
fn drawn(seed: Option<u64>) -> (uuid::Uuid, u64, Vec<u32>, SystemTime) {
    let draw = move || {
        if let Some(seed) = seed {
            oriel_chance::tell(seed);
            oriel_chance::set_clock(Duration::from_secs(1_700_000_000));
        }
        let order = (0..100).collect::<HashSet<u32>>().into_iter().collect();
        (uuid::Uuid::new_v4(), rand::random(), order, SystemTime::now())
    };
    thread::spawn(draw).join().unwrap()
}

#[test]
fn a_seed_draws_the_same_again() {
    assert_eq!(drawn(Some(7)), drawn(Some(7)));
    let (one, other) = (drawn(Some(7)), drawn(Some(8)));
    assert!(one.0 != other.0 && one.1 != other.1 && one.2 != other.2);
}

#[test]
fn who_was_told_nothing_gets_what_the_system_says() {
    let (one, other) = (drawn(None), drawn(None));
    assert!(one.0 != other.0 && one.1 != other.1);
    assert!(one.3 > SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000));
}

#[test]
fn the_clock_goes_on_with_each_look() {
    let look = || {
        oriel_chance::set_clock(Duration::from_secs(5));
        let first = SystemTime::now();
        oriel_chance::set_clock(Duration::from_secs(5));
        (first, SystemTime::now())
    };
    let (first, second) = thread::spawn(look).join().unwrap();
    assert_eq!(second.duration_since(first).unwrap(), Duration::from_micros(1));
}
