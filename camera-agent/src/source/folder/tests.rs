//! Promises of folders: each picture is taken once, whole, with its time, and nothing else is.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::symlink,
};

use oriel_proto::frame::SourceState;
use tempfile::TempDir;

use super::*;
use crate::{
    config::SourceConfig,
    ring::Row,
    source::tests::stand::{Stand, picture, soon},
};

const PREVIEW: ImageClass = ImageClass::Preview;

/// A folder, and one for the agent's state.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(place.path("")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("in").join(name)
    }

    /// Writes a file at once, as a program does that moves what it has finished.
    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let hidden = self.path(".new");
        fs::write(&hidden, bytes).unwrap();
        fs::rename(hidden, path).unwrap();
    }

    /// Writes a file that was there for a while.
    fn put_old(&self, name: &str, bytes: &[u8]) {
        self.put(name, bytes);
        let file = File::options().write(true).open(self.path(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(120)).unwrap();
    }

    fn config(&self) -> FolderConfig {
        let path = toml::Value::from(self.path("").to_str().unwrap());
        toml::from_str(&format!("path = {path}")).unwrap()
    }

    async fn stand(&self, config: FolderConfig) -> Stand {
        let state = self.dir.path().join("state");
        let mut stand = Stand::new(&state, SourceConfig::Folder(config)).await;
        stand.start();
        stand
    }
}

/// A name with the time so many seconds before now, and that time.
fn named(seconds: u64) -> (String, Timestamp) {
    let at = crate::spool::system_clock()().before(Duration::from_secs(seconds)).as_micros() / 1_000_000;
    let time = jiff::Timestamp::from_second(at).unwrap().strftime("%Y%m%d_%H%M%S");
    (format!("porch_{time}.jpg"), Timestamp::from_millis(at * 1_000))
}

fn times(rows: &[Row]) -> Vec<Timestamp> {
    rows.iter().map(|row| row.at()).collect()
}

#[tokio::test]
async fn what_lies_there_is_taken_with_the_times_of_its_names_and_never_twice() {
    let place = Place::new();
    let names: Vec<_> = [300, 200, 100].map(named).into();
    for (n, (name, _)) in names.iter().enumerate() {
        place.put_old(name, &picture(n as u64));
    }
    // Another picture of the same second.
    place.put_old(&format!("b_{}", names[2].0), &picture(7));
    let expected: Vec<_> =
        names.iter().map(|(_, at)| *at).chain([names[2].1.after(Duration::from_millis(1))]).collect();
    let stand = place.stand(place.config()).await;
    assert_eq!(times(&stand.has(PREVIEW, 4).await), expected);
    assert_eq!(stand.rows(ImageClass::Main).await.len(), 3);
    drop(stand.stop().await);

    let (later, at) = named(50);
    place.put_old(&later, &picture(8));
    let stand = place.stand(place.config()).await;
    let rows = stand.has(PREVIEW, 5).await;
    assert_eq!(times(&rows), [expected, vec![at]].concat());
    assert_eq!(stand.read(PREVIEW, rows[4]).await, picture(8));
    drop(stand.stop().await);
}

#[tokio::test]
async fn what_left_the_ring_is_not_taken_again() {
    let place = Place::new();
    let (first, second) = (named(300), named(200));
    place.put_old(&first.0, &picture(1));
    place.put_old(&second.0, &picture(2));
    let stand = place.stand(place.config()).await;
    let rows = stand.has(PREVIEW, 2).await;
    let camera = stand.stop().await;
    drop(camera);
    let time = jiff::Timestamp::from_microsecond(rows[0].at().as_micros()).unwrap();
    let kept = place.dir.path().join("state/images/porch/preview");
    fs::remove_file(kept.join(time.strftime("%Y%m%d/%H%M%S%.3f.jpg").to_string())).unwrap();
    let stand = place.stand(place.config()).await;
    let new = named(100);
    place.put(&new.0, &picture(3));
    assert_eq!(times(&stand.has(PREVIEW, 2).await), [second.1, new.1]);
    stand.stop().await;
}

#[tokio::test]
async fn a_file_is_taken_once_it_is_whole() {
    let place = Place::new();
    let mut stand = place.stand(place.config()).await;
    stand.is(SourceState::Ok).await;
    let ((slow, slow_at), (quick, quick_at)) = (named(20), named(10));
    let bytes = picture(1);
    let (begin, end) = bytes.split_at(bytes.len() / 2);
    let mut file = File::create(place.path(&slow)).unwrap();
    file.write_all(begin).unwrap();
    place.put(&quick, &picture(2));
    assert_eq!(times(&stand.has(PREVIEW, 1).await), [quick_at]);
    file.write_all(end).unwrap();
    drop(file);
    let rows = stand.has(PREVIEW, 2).await;
    assert_eq!(times(&rows), [slow_at, quick_at]);
    assert_eq!(stand.read(PREVIEW, rows[0]).await, bytes);
    stand.stop().await;
}

#[tokio::test]
async fn an_upload_that_was_cut_off_is_left_alone_until_it_goes_on() {
    let place = Place::new();
    let mut stand = place.stand(place.config()).await;
    stand.is(SourceState::Ok).await;
    let (name, at) = named(20);
    let bytes = picture(1);
    let (begin, end) = bytes.split_at(bytes.len() / 2);
    fs::write(place.path(&name), begin).unwrap();
    let (other, other_at) = named(10);
    place.put(&other, &picture(2));
    assert_eq!(times(&stand.has(PREVIEW, 1).await), [other_at]);
    File::options().append(true).open(place.path(&name)).unwrap().write_all(end).unwrap();
    assert_eq!(times(&stand.has(PREVIEW, 2).await), [at, other_at]);
    stand.stop().await;
}

#[tokio::test]
async fn bombs_pipes_links_and_strangers_are_left_alone() {
    let place = Place::new();
    let good = picture(1);
    let mut bomb = good.clone();
    let frame = bomb.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bomb[frame + 5..frame + 9].fill(0xff);
    place.put_old("bomb.jpg", &bomb);
    place.put_old("cut.jpg", &good[..good.len() - 2]);
    place.put_old("text.jpg", b"no picture at all");
    place.put_old("short.jpg", b"\xff");
    place.put_old(".hidden.jpg", &good);
    // It takes no room on the disk.
    File::create(place.path("large.jpg")).unwrap().set_len(1 << 30).unwrap();
    fs::write(place.dir.path().join("elsewhere.jpg"), &good).unwrap();
    symlink(place.dir.path().join("elsewhere.jpg"), place.path("link.jpg")).unwrap();
    symlink(place.dir.path(), place.path("loop")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(place.path("pipe.jpg")).status().unwrap().success());
    let (name, at) = named(30);
    place.put_old(&name, &good);
    let mut stand = place.stand(place.config()).await;
    assert_eq!(times(&stand.has(PREVIEW, 1).await), [at]);
    stand.is(SourceState::Ok).await;
    // One more that comes shows that all before it were dealt with.
    let (name, next) = named(20);
    place.put(&name, &picture(2));
    assert_eq!(times(&stand.has(PREVIEW, 2).await), [at, next]);
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 11);
    stand.stop().await;
}

#[test]
fn something_hostile_is_not_read() {
    let place = Place::new();
    File::create(place.path("large.jpg")).unwrap().set_len(1 << 30).unwrap();
    // It would be no picture for another reason, if a byte of it were read.
    let Look::Foreign(why, _) = look(&place.path("large.jpg")) else { panic!() };
    assert!(why.contains("1073741824 bytes is larger"), "{why}");
    assert!(matches!(look(&place.path("")), Look::Folder));
    assert!(matches!(look(&place.path("gone.jpg")), Look::Gone));
}

#[tokio::test]
async fn a_missing_folder_fails_and_comes_back() {
    let place = Place::new();
    let away = place.dir.path().join("away");
    fs::rename(place.path(""), &away).unwrap();
    let mut stand = place.stand(place.config()).await;
    let why = stand.is(SourceState::Failing).await.unwrap();
    assert!(why.contains("is not there") && why.contains("/in"), "{why}");
    fs::rename(&away, place.path("")).unwrap();
    stand.is(SourceState::Ok).await;
    let (name, at) = named(10);
    place.put(&name, &picture(1));
    assert_eq!(times(&stand.has(PREVIEW, 1).await), [at]);
    fs::rename(place.path(""), &away).unwrap();
    stand.is(SourceState::Failing).await;
    fs::rename(&away, place.path("")).unwrap();
    stand.is(SourceState::Ok).await;
    assert_eq!(stand.rows(PREVIEW).await.len(), 1);
    stand.stop().await;
}

#[tokio::test]
async fn only_what_is_kept_is_removed_and_only_when_that_is_wanted() {
    let place = Place::new();
    let (name, at) = named(100);
    place.put_old(&name, &picture(1));
    place.put_old("notes.txt", b"not a picture");
    // Older than anything that is kept.
    place.put_old("20200101000000.jpg", &picture(2));
    let stand = place.stand(FolderConfig { remove: true, ..place.config() }).await;
    assert_eq!(times(&stand.has(PREVIEW, 1).await), [at]);
    let (later, later_at) = named(50);
    place.put(&later, &picture(3));
    assert_eq!(times(&stand.has(PREVIEW, 2).await), [at, later_at]);
    // The next one is looked at once the one before is gone.
    let (last, _) = named(40);
    place.put(&last, &picture(4));
    stand.has(PREVIEW, 3).await;
    let left: Vec<_> = fs::read_dir(place.path("")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|file| **file == *name || **file == *later), "{left:?}");
    assert!(
        left.iter().any(|file| file == "notes.txt") && left.iter().any(|file| file == "20200101000000.jpg")
    );
    stand.stop().await;
}

#[tokio::test]
async fn another_picture_of_the_same_time_and_size_is_kept_before_its_file_is_removed() {
    let place = Place::new();
    let (name, at) = named(100);
    let [first, second] = [1, 2].map(|mark| crate::pictures::tests::picture(2_000, mark));
    place.put_old(&format!("a_{name}"), &first);
    place.put_old(&format!("b_{name}"), &second);
    place.put_old(&format!("c_{name}"), &first);
    // It is dealt with last.
    let (last, last_at) = named(50);
    place.put_old(&last, &picture(3));
    let stand = place.stand(FolderConfig { remove: true, ..place.config() }).await;
    let rows = stand.has(PREVIEW, 3).await;
    assert_eq!(times(&rows), [at, at.after(Duration::from_millis(1)), last_at]);
    assert_eq!(stand.read(PREVIEW, rows[0]).await, first);
    assert_eq!(stand.read(PREVIEW, rows[1]).await, second);
    for twin in ["a", "b", "c"] {
        assert!(!place.path(&format!("{twin}_{name}")).exists(), "{twin} is kept");
    }
    stand.stop().await;
}

#[tokio::test]
async fn a_file_stays_while_its_copy_is_not_safe_on_the_disk() {
    let place = Place::new();
    let config = FolderConfig { remove: true, ..place.config() };
    let camera = Stand::new(&place.dir.path().join("state"), SourceConfig::Folder(config.clone())).await;
    let (feed, mut folder) = (Feed::new(camera.camera.clone(), None), Folder::new(&config));
    place.put("a.jpg", &picture(1));
    let Look::Picture(jpeg, stamp) = look(&place.path("a.jpg")) else { panic!() };
    let kept = feed.keep(Picture { class: PREVIEW, at: feed.camera().pictures.time(), jpeg });
    let at = soon(kept).await.unwrap().unwrap();
    let (ring, away) = (place.dir.path().join("state/images/porch/preview"), place.dir.path().join("away"));
    fs::rename(&ring, &away).unwrap();
    folder.remove(&place.path("a.jpg"), stamp, &[(PREVIEW, at)], &feed).await;
    assert!(place.path("a.jpg").exists());
    fs::rename(&away, &ring).unwrap();
    folder.remove(&place.path("a.jpg"), stamp, &[(PREVIEW, at)], &feed).await;
    assert!(!place.path("a.jpg").exists());
}

#[tokio::test]
async fn folders_inside_are_looked_through_to_their_depth() {
    let place = Place::new();
    let (shallow, deep) = (named(100), named(50));
    place.put_old(&format!("2026/11/{}", shallow.0), &picture(1));
    place.put_old(&format!("2026/11/28/{}", deep.0), &picture(2));
    let stand = place.stand(FolderConfig { depth: 2, ..place.config() }).await;
    assert_eq!(times(&stand.has(PREVIEW, 1).await), [shallow.1]);
    // A folder that is made later.
    let new = named(20);
    place.put(&format!("2026/12/{}", new.0), &picture(3));
    assert_eq!(times(&stand.has(PREVIEW, 2).await), [shallow.1, new.1]);
    stand.stop().await;
}

#[tokio::test]
async fn without_a_time_in_its_name_a_file_has_its_own() {
    let place = Place::new();
    place.put("latest.jpg", &picture(1));
    let changed = |name: &str| {
        let at = Timestamp::from(fs::metadata(place.path(name)).unwrap().modified().unwrap());
        Timestamp::from_millis(at.as_micros() / 1_000)
    };
    let first = changed("latest.jpg");
    let (named, _) = named(1_000);
    let config = FolderConfig { times: Times::File, class: Some(ImageClass::Main), ..place.config() };
    let stand = place.stand(config).await;
    assert_eq!(times(&stand.has(ImageClass::Main, 1).await), [first]);
    // The same file with another picture, as some cameras do.
    place.put("latest.jpg", &picture(2));
    let second = changed("latest.jpg");
    assert_eq!(times(&stand.has(ImageClass::Main, 2).await), [first, second]);
    place.put(&named, &picture(3));
    assert_eq!(times(&stand.has(ImageClass::Main, 3).await)[2], changed(&named));
    assert!(stand.rows(PREVIEW).await.is_empty());
    stand.stop().await;
}

#[tokio::test]
async fn a_file_that_is_touched_without_another_picture_in_it_is_not_taken_again() {
    let place = Place::new();
    place.put("latest.jpg", &picture(1));
    let stand = place.stand(FolderConfig { times: Times::File, ..place.config() }).await;
    let first = stand.has(PREVIEW, 1).await[0].at();
    // Its time is another one then, and the system tells that it was closed.
    let file = File::options().write(true).open(place.path("latest.jpg")).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).unwrap();
    drop(file);
    place.put("next.jpg", &picture(2));
    let rows = stand.has(PREVIEW, 2).await;
    assert_eq!(rows[0].at(), first);
    assert_eq!(stand.read(PREVIEW, rows[1]).await, picture(2));
    stand.stop().await;
}

#[tokio::test]
async fn a_folder_with_more_than_is_looked_at_says_so_and_works() {
    let place = Place::new();
    let config = place.config();
    let camera = Stand::new(&place.dir.path().join("state"), SourceConfig::Folder(config.clone())).await;
    let (feed, mut folder) = (Feed::new(camera.camera.clone(), None), Folder::new(&config));
    folder.tell(Some(Cut::Folders(10_000)), &feed);
    let said = camera.camera.source();
    assert_eq!(said.state, SourceState::Failing);
    assert!(
        said.why
            .unwrap()
            .ends_with("/in/ holds more than 10000 folders, and the oldest are passed over; remove some")
    );
    folder.tell(None, &feed);
    assert_eq!((camera.camera.source().state, camera.camera.source().why), (SourceState::Ok, None));
}

#[tokio::test]
async fn a_program_that_watches_nothing_finds_what_has_settled() {
    let place = Place::new();
    let config = place.config();
    let camera = Stand::new(&place.dir.path().join("state"), SourceConfig::Folder(config.clone())).await;
    let feed = Feed::new(camera.camera.clone(), None);
    let (mut folder, mut watcher) = (Folder::new(&config), Watcher::new(&config.path));
    place.put_old(&named(100).0, &picture(1));
    place.put(&named(50).0, &picture(2));
    soon(folder.look_through(&mut watcher, &feed)).await.unwrap();
    assert_eq!(camera.rows(PREVIEW).await.len(), 1);
    assert!(folder.shelf.is_waiting());
    tokio::time::pause();
    tokio::time::advance(SETTLED).await;
    folder.look_through(&mut watcher, &feed).await.unwrap();
    assert_eq!((camera.rows(PREVIEW).await.len(), folder.shelf.is_waiting()), (2, false));
}
