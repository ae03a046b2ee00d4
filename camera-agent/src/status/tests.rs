//! What an agent tells of where it stands.

use super::*;

fn gateway() -> Url {
    "https://gateway.example/".parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_agent_counts_as_connected_from_when_the_gateway_has_taken_its_cameras_until_the_connection_ends()
{
    let board = Board::new(Instant::now());
    board.failed(&gateway(), "refused");
    tokio::time::advance(Duration::from_secs(7)).await;
    let (phase, seen) = watch::channel(Phase::Opening);
    board.serves(&gateway(), seen);
    let status = board.status(&[]);
    let why = Some("https://gateway.example/: refused".to_owned());
    assert_eq!(status, Status { gateway: None, for_s: 7, why: why.clone(), cameras: Vec::new() });

    phase.send_replace(Phase::Settled);
    tokio::time::advance(Duration::from_secs(60)).await;
    let status = board.status(&[]);
    assert_eq!(
        status,
        Status { gateway: Some(gateway().to_string()), for_s: 60, why: None, cameras: Vec::new() }
    );

    drop(phase);
    assert_eq!(board.status(&[]).gateway, None, "its end is seen before anybody notes it");
    let (_opening, seen) = watch::channel(Phase::Opening);
    board.serves(&gateway(), seen);
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(board.status(&[]), Status { gateway: None, for_s: 3, why, cameras: Vec::new() });
}

#[tokio::test(start_paused = true)]
async fn an_agent_whose_every_connection_is_refused_is_alone_since_its_start() {
    let board = Board::new(Instant::now());
    for _ in 0..3 {
        let (_, seen) = watch::channel(Phase::Opening);
        board.serves(&gateway(), seen);
        tokio::time::advance(Duration::from_secs(5)).await;
        board.ended();
    }
    assert_eq!(board.status(&[]).for_s, 15);
}

#[cfg(unix)]
#[tokio::test]
async fn the_socket_of_an_agent_that_was_killed_is_nobody_and_in_no_ones_way() {
    let folder = tempfile::tempdir().unwrap();
    drop(std::os::unix::net::UnixListener::bind(folder.path().join(SOCKET)).unwrap());
    let asked = status_of(folder.path()).await;
    assert!(matches!(asked, Err(StatusError::NotRunning { .. })), "{asked:?}");

    let board = Board::new(Instant::now());
    let stop = CancellationToken::new();
    let standing = Standing::new(folder.path().to_owned(), board, Vec::new());
    let telling = tokio::spawn(standing.tell(stop.clone()));
    let told = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            match status_of(folder.path()).await {
                Ok(told) => break told,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    let told = told.await.unwrap();
    assert_eq!((told.gateway, told.why), (None, None));
    stop.cancel();
    telling.await.unwrap();
}
