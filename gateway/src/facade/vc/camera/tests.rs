//! Who is answered by which list.

use futures_util::FutureExt;

use super::*;

fn camera() -> Arc<Camera<u32>> {
    Arc::default()
}

fn answer(asking: &mut Asking<u32>) -> Option<u32> {
    asking.answer().now_or_never().flatten()
}

fn is_woken(poll: &mut OpenPoll<u32>) -> bool {
    poll.wanted().now_or_never() == Some(true)
}

#[test]
fn a_camera_that_nobody_asks_is_not_woken() {
    let camera = camera();
    let mut poll = camera.poll().unwrap();
    camera.begin().answer(&1);
    assert_eq!(poll.wanted().now_or_never(), None);
}

#[test]
fn a_question_wakes_every_open_poll_and_the_list_behind_it_answers() {
    let camera = camera();
    let mut polls = [camera.poll().unwrap(), camera.poll().unwrap()];
    let mut asking = camera.ask().unwrap();
    assert!(polls.iter_mut().all(is_woken));
    camera.begin().answer(&1);
    assert_eq!(answer(&mut asking), Some(1));
}

#[test]
fn a_list_that_began_before_the_wake_up_answers_nobody() {
    let camera = camera();
    let early = camera.begin();
    let _poll = camera.poll().unwrap();
    let mut asking = camera.ask().unwrap();
    early.answer(&1);
    assert_eq!(answer(&mut asking), None);
    camera.begin().answer(&2);
    assert_eq!(answer(&mut asking), Some(2));
}

#[test]
fn a_list_of_an_earlier_wake_up_does_not_answer_who_came_later() {
    let camera = camera();
    let _poll = camera.poll().unwrap();
    let mut first = camera.ask().unwrap();
    let mut second = camera.ask().unwrap();
    camera.begin().answer(&1);
    assert_eq!((answer(&mut first), answer(&mut second)), (Some(1), None));
    assert!(camera.poll().is_none(), "the next poll is answered at once");
    camera.begin().answer(&2);
    assert_eq!(answer(&mut second), Some(2));
}

#[test]
fn all_who_wait_share_a_list() {
    let camera = camera();
    let mut all: Vec<_> = (0..50).map(|_| camera.ask().unwrap()).collect();
    assert!(camera.poll().is_none());
    camera.begin().answer(&1);
    assert!(all.iter_mut().all(|asking| answer(asking) == Some(1)));
    assert!(camera.poll().is_some(), "and nobody is left");
}

#[test]
fn who_has_left_leaves_nothing_behind() {
    let camera = camera();
    drop(camera.ask().unwrap());
    let mut poll = camera.poll().unwrap();
    assert_eq!(poll.wanted().now_or_never(), None);
    let mut asking = camera.ask().unwrap();
    assert!(is_woken(&mut poll));
    camera.begin().answer(&1);
    assert_eq!(answer(&mut asking), Some(1));
}

#[test]
fn a_wake_up_that_nobody_heard_is_repeated() {
    let camera = camera();
    let dead = camera.poll().unwrap();
    let mut asking = camera.ask().unwrap();
    drop(dead);
    assert!(camera.poll().is_none());
    camera.begin().answer(&1);
    assert_eq!(answer(&mut asking), Some(1));
}

#[test]
fn a_poll_that_was_given_up_is_no_wake_up() {
    let camera = camera();
    drop(camera.poll().unwrap());
    let mut asking = camera.ask().unwrap();
    camera.begin().answer(&1);
    assert_eq!(answer(&mut asking), None, "the camera has not been asked");
}

#[test]
fn nobody_is_woken_for_who_has_a_list_on_its_way() {
    let camera = camera();
    let mut asking = camera.ask().unwrap();
    assert!(camera.poll().is_none());
    let list = camera.begin();
    let mut poll = camera.poll().unwrap();
    assert_eq!(poll.wanted().now_or_never(), None);
    drop(list);
    assert!(is_woken(&mut poll), "a list that broke off is asked for again");
    camera.begin().answer(&1);
    assert_eq!(answer(&mut asking), Some(1));
}

#[test]
fn a_camera_that_never_posts_is_not_woken_without_end() {
    let camera = camera();
    let _asking = camera.ask().unwrap();
    let wake_ups = (0..100).filter(|_| camera.poll().is_none()).count();
    assert_eq!(wake_ups, usize::from(WAKE_UPS));
}

#[test]
fn polls_and_questions_are_bounded() {
    let camera = camera();
    let mut polls: Vec<_> = (0..=POLLS).map(|_| camera.poll().unwrap()).collect();
    assert_eq!(polls[0].wanted().now_or_never(), Some(false), "the oldest gives way");
    assert_eq!(camera.lock().polls.len(), POLLS);
    let all: Vec<_> = (0..WAITING).map(|_| camera.ask().unwrap()).collect();
    assert!(camera.ask().is_none());
    camera.close();
    assert!(polls.iter_mut().skip(1).all(is_woken), "they were woken before");
    drop(all);
    assert!(camera.ask().is_some());
}
