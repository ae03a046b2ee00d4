//! Promises about pictures that pass by live, and about what pictures may take of the link.

use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_slow_viewer_sees_the_newest_and_never_what_passed_by() {
    let mut desk = Desk::open().await;
    let id = desk.ask(live(60.0));
    assert!(desk.is_silent(SECOND).await);
    let show = |desk: &Desk, n: u8| {
        desk.camera.pictures.show(preview(NOW_MS + i64::from(n), picture(50_000, n)));
    };
    show(&desk, 1);
    assert_eq!(desk.live(id).await.1, picture(50_000, 1));
    // The next one begins, and then nothing is taken any more.
    show(&desk, 2);
    let AgentFrame::Part { body: Body::Head(head), .. } = next(&mut desk.jobs).await else {
        panic!("no Head")
    };
    let mut got = 0;
    while let Ok(frame) = tokio::time::timeout(SECOND, next(&mut desk.jobs)).await {
        let AgentFrame::Part { body: Body::Bytes(bytes), .. } = frame else { panic!("no bytes") };
        got += bytes.len();
    }
    assert!(got < 50_000 && head.at == Timestamp::from_millis(NOW_MS + 2));
    for n in 3..=200 {
        show(&desk, n);
    }
    desk.jobs.credit(id, 200_000);
    while got < 50_000 {
        let AgentFrame::Part { body: Body::Bytes(bytes), .. } = next(&mut desk.jobs).await else {
            panic!("no bytes")
        };
        got += bytes.len();
    }
    let (head, jpeg) = desk.live(id).await;
    assert_eq!((head.at, jpeg), (Timestamp::from_millis(NOW_MS + 200), picture(50_000, 200)));
    assert!(desk.is_silent(SECOND).await, "each is sent once");
}

#[tokio::test(start_paused = true)]
async fn a_viewer_gets_as_many_pictures_a_second_as_it_asked_for_and_the_source_knows() {
    let mut desk = Desk::open().await;
    let wanted = desk.camera.pictures.wanted(&ImageClass::Preview);
    assert_eq!(*wanted.borrow(), 0.0);
    let slow = desk.ask(live(2.0));
    assert!(desk.is_silent(SECOND).await);
    assert_eq!(*wanted.borrow(), 2.0);
    let quick = desk.ask(live(10.0));
    assert!(desk.is_silent(SECOND).await);
    assert_eq!(*wanted.borrow(), 10.0);
    let (pictures, mut heads) = (desk.camera.pictures.clone(), Vec::new());
    let source = tokio::spawn(async move {
        for n in 0..100_u8 {
            pictures.show(preview(NOW_MS + i64::from(n), picture(1_000, n)));
            sleep(SECOND / 10).await;
        }
    });
    let until = Instant::now() + 10 * SECOND;
    while let Ok(frame) = tokio::time::timeout_at(until, next(&mut desk.jobs)).await {
        let AgentFrame::Part { id, n, body } = frame else { panic!("it ended") };
        desk.jobs.credit(id, encoded_len(&AgentFrame::Part { id, n, body: body.clone() }) as u32);
        heads.extend(matches!(body, Body::Head(_)).then_some(id));
    }
    source.await.unwrap();
    let count = |id| heads.iter().filter(|of| **of == id).count();
    assert!((19..=21).contains(&count(slow)), "{}", count(slow));
    assert!((95..=100).contains(&count(quick)), "{}", count(quick));
    desk.jobs.cancel(quick);
    while !desk.is_silent(SECOND).await {}
    assert_eq!(*wanted.borrow(), 2.0);
    desk.jobs.cancel(slow);
    assert!(desk.is_silent(SECOND).await);
    assert_eq!(*wanted.borrow(), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_viewer_begins_with_the_newest_of_the_last_minute_and_goes_on_when_the_clock_goes_back() {
    let mut desk = Desk::open().await;
    desk.keep(60_001, picture(1_000, 1)).await;
    let id = desk.ask(live(10.0));
    assert!(desk.is_silent(SECOND).await, "it is too old to pass for a moving picture");
    desk.jobs.cancel(id);
    desk.keep(60_000, picture(1_000, 2)).await;
    let id = desk.ask(live(10.0));
    assert_eq!(desk.live(id).await.1, picture(1_000, 2));
    desk.keep(90_000, picture(1_000, 3)).await;
    let (head, jpeg) = desk.live(id).await;
    assert_eq!(jpeg, picture(1_000, 3));
    let at = |ago_ms| Some(Timestamp::from_millis(NOW_MS - ago_ms));
    assert_eq!((head.prev, head.next), (None, at(60_001)), "its neighbours in the ring");
}

#[tokio::test(start_paused = true)]
async fn whoever_wants_hardly_any_pictures_gets_one_an_hour() {
    let mut desk = Desk::open().await;
    desk.keep(0, picture(1_000, 1)).await;
    for fps in [1e-20, f32::MIN_POSITIVE / 2.0] {
        let id = desk.ask(live(fps));
        assert_eq!(desk.live(id).await.1, picture(1_000, 1));
        desk.camera.pictures.show(preview(NOW_MS + 1, picture(1_000, 2)));
        assert!(desk.is_silent(3_599 * SECOND).await);
        assert_eq!(desk.live(id).await.1, picture(1_000, 2));
        desk.jobs.cancel(id);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_a_cancel_in_the_middle_of_a_picture() {
    let mut desk = Desk::open().await;
    desk.keep(0, picture(500_000, 1)).await;
    for call in [image(ImageMatch::Latest, 0, None), live(10.0)] {
        let id = desk.ask(call);
        desk.jobs.credit(id, 1 << 20);
        for _ in 0..5 {
            assert!(matches!(next(&mut desk.jobs).await, AgentFrame::Part { .. }));
        }
        desk.jobs.cancel(id);
        desk.camera.pictures.show(preview(NOW_MS + 1, picture(1_000, 1)));
        assert!(desk.is_silent(SECOND).await);
    }
}

#[tokio::test(start_paused = true)]
async fn pictures_take_no_more_of_the_link_than_the_uplink_allows_and_live_gives_way() {
    let mut desk = Desk::open_with(|config| config.uplink = Some(20_000)).await;
    desk.keep(0, picture(100_000, 1)).await;
    let stream = desk.ask(live(60.0));
    let started = Instant::now();
    let (head, _) = desk.live(stream).await;
    assert_eq!(head.at, Timestamp::from_millis(NOW_MS));
    assert_eq!(started.elapsed().as_secs(), 3, "100,000 bytes, of which a second's worth at once");
    desk.camera.pictures.show(preview(NOW_MS + 1, picture(100_000, 2)));
    let single = desk.ask(image(ImageMatch::Latest, 0, None));
    desk.jobs.credit(single, 1 << 20);
    desk.jobs.credit(stream, 1 << 20);
    let (mut order, started) = (Vec::new(), Instant::now());
    loop {
        match next(&mut desk.jobs).await {
            AgentFrame::Part { id, body: Body::Bytes(_), .. } => order.push(id == single),
            AgentFrame::Done { id, .. } if id == single => break,
            _ => {}
        }
    }
    let others = order.iter().filter(|of_single| !**of_single).count();
    assert!(others <= 1, "{others} Parts of a live picture went before those of a single one");
    assert_eq!(started.elapsed().as_secs(), 5);
    let (all, describe) = (Instant::now(), desk.ask(Call::Describe {}));
    desk.answer(describe).await.unwrap();
    assert_eq!(all.elapsed(), Duration::ZERO, "what is no picture does not wait");
}

#[tokio::test(start_paused = true)]
async fn without_credit_it_is_left_open_which_picture_comes_next() {
    let mut desk = Desk::open().await;
    let id = desk.ask(live(60.0));
    assert!(desk.is_silent(SECOND).await);
    // Leaves less than one Part of the first credit.
    desk.camera.pictures.show(preview(NOW_MS + 1, picture(28_000, 1)));
    while !desk.is_silent(SECOND).await {}
    for n in 2..=3 {
        desk.camera.pictures.show(preview(NOW_MS + i64::from(n), picture(28_000, n)));
        assert!(desk.is_silent(SECOND).await);
    }
    desk.jobs.credit(id, 100_000);
    assert_eq!(desk.live(id).await.1, picture(28_000, 3));
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_is_watched_without_end_leaves_places_for_the_others() {
    let mut porch = Desk::open().await;
    let yard = Desk::open_with(|config| config.id = "yard".parse().unwrap()).await;
    porch.jobs = Jobs::new(Limits { calls: 8, ..Limits::default() }, 2);
    let mut ask = |camera: &Camera| {
        let (id, call) = (RequestId::new(), live(1.0));
        porch.jobs.start(Request { id, camera: camera.id().clone(), deadline_ms: 10_000, call }, Some(camera))
    };
    let asked = [&porch.camera; 5].map(&mut ask);
    assert!(asked[..4].iter().all(Result::is_ok));
    let busy = asked[4].as_ref().unwrap_err();
    assert_eq!(
        (&busy.code, busy.message.as_str()),
        (&FailureCode::Busy, "4 questions about this camera are open")
    );
    assert_eq!([&yard.camera; 3].map(&mut ask).map(|asked| asked.is_ok()), [true, true, false]);
}
