//! Promises of simulated pictures.

use std::time::Instant;

use super::*;

#[test]
fn look() {
    for seed in [1, 7, 8] {
        let story = Story::new(seed, Duration::from_secs(10));
        let mut studio = Studio::new(seed, "Front porch äöü €".into(), story.clone(), 4);
        let t0 = 1_767_268_800_000; // noon
        for n in 0..12 {
            let p = story.position(n) + Duration::from_millis(1000);
            let at = Timestamp::from_millis(t0 + p.as_millis() as i64);
            std::fs::write(format!("/tmp/sim/{seed}-{n}.jpg"), studio.picture(&ImageClass::Preview, p, at).unwrap()).unwrap();
        }
        let at = Timestamp::from_millis(t0);
        std::fs::write(format!("/tmp/sim/{seed}-main.jpg"), studio.picture(&ImageClass::Main, Duration::ZERO, at).unwrap()).unwrap();
        let start = Instant::now();
        for n in 0..50 { studio.picture(&ImageClass::Preview, Duration::from_secs(n), at).unwrap(); }
        println!("{:?} each preview", start.elapsed() / 50);
        let start = Instant::now();
        studio.picture(&ImageClass::Main, Duration::from_secs(1), at).unwrap();
        println!("{:?} main", start.elapsed());
    }
}
