//! What an agent promises of real cameras: one that gives stills over HTTP, one that uploads them by FTP, each with its troubles.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    counterparts::{FtpServer, WebCamera},
    device::Device,
    gateway::{Gateway, text},
};

/// A gray picture of 8 by 8 pixels.
const GRAY: &[u8] = include_bytes!("../../../camera-agent/tests/common/picture.jpg");

/// The largest comment in a picture, in bytes.
const COMMENT: usize = 60_000;

/// More than the buffers between a camera and an FTP server hold.
const LARGE: usize = 4_000_000;

/// A picture of some more bytes, in comments of at most so many.
fn picture(more: usize) -> Vec<u8> {
    let comment = |bytes: usize| {
        let length = u16::try_from(bytes + 2).unwrap().to_be_bytes();
        [&[0xff, 0xfe], &length[..], &vec![b'x'; bytes]].concat()
    };
    let comments: Vec<u8> =
        (0..more).step_by(COMMENT).flat_map(|at| comment(COMMENT.min(more - at))).collect();
    [&GRAY[..2], &comments, &GRAY[2..]].concat()
}

/// A picture whose header says that it has 65,535 by 65,535 pixels.
fn bomb() -> Vec<u8> {
    let mut bomb = GRAY.to_vec();
    let frame = bomb.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bomb[frame + 5..frame + 9].fill(0xff);
    bomb
}

/// The pictures that a camera keeps on its device.
fn kept(device: &Device, camera: &str) -> Vec<PathBuf> {
    let folder = device.path(&format!("camera-agent/images/{camera}/preview"));
    let days = fs::read_dir(folder).into_iter().flatten().map(|day| day.unwrap().path());
    let files = days.filter(|day| day.is_dir()).flat_map(|day| fs::read_dir(day).unwrap());
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

/// How many of them have so many bytes.
fn of_size(device: &Device, camera: &str, bytes: usize) -> usize {
    let is_so_large = |file: &PathBuf| file.metadata().is_ok_and(|about| about.len() == bytes as u64);
    kept(device, camera).into_iter().filter(is_so_large).count()
}

/// A simulated camera beside the others, which nothing that happens to them may disturb.
const BESIDE: &str = "{ type = \"simulator\", interval_ms = 200, preview_ms = 200, main_ms = 0 }";

/// Waits until the camera beside has written ten more events, and more pictures.
#[track_caller]
fn goes_on(gateway: &Gateway, device: &Device) {
    let http = gateway.http();
    let events = gateway.log("beside").len();
    let pictures = kept(device, "beside").len();
    http.until("/v1/cameras/beside", |camera| {
        camera["status"] == "online" && kept(device, "beside").len() >= pictures + 10
    });
    assert!(gateway.log("beside").len() >= events + 10);
}

#[test]
fn a_camera_that_gives_stills_goes_away_and_comes_back_and_nothing_else_is_disturbed() {
    let gateway = Gateway::start();
    let http = gateway.http();
    let mut camera = WebCamera::start(&picture(1));
    let device = Device::enrolled(&gateway, &["porch", "beside"]);
    device.set_cameras(&[("porch", &camera.right_source()), ("beside", BESIDE)]);
    let _agent = device.start_connected();
    http.until_status("porch", "online");
    http.until("/v1/cameras/porch", |_| of_size(&device, "porch", picture(1).len()) >= 2);

    camera.cut();
    let porch = http.until_status("porch", "degraded");
    let why = porch["why"].as_str().unwrap();
    assert!(why.contains("still.jpg cannot be asked") && !why.contains("pass-word"), "{why}");
    goes_on(&gateway, &device);

    camera.shows(&picture(2));
    camera.come_back();
    http.until_status("porch", "online");
    http.until("/v1/cameras/porch", |_| of_size(&device, "porch", picture(2).len()) >= 2);

    for (hostile, words) in [
        (bomb(), "4294836225 pixels"),
        (GRAY[..80].to_vec(), "is cut off after 80 bytes"),
        (b"<html>no camera</html>".to_vec(), "does not begin as a JPEG"),
    ] {
        camera.shows(&hostile);
        let path = "/v1/cameras/porch";
        http.until(path, |porch| porch["why"].as_str().is_some_and(|why| why.contains(words)));
    }
    goes_on(&gateway, &device);
    let sizes = [picture(1).len(), picture(2).len()].map(|bytes| of_size(&device, "porch", bytes));
    assert_eq!(sizes.iter().sum::<usize>(), kept(&device, "porch").len());
}

#[test]
fn a_wrong_password_is_said_and_the_camera_beside_goes_on() {
    let gateway = Gateway::start();
    let camera = WebCamera::start(&picture(1));
    let device = Device::enrolled(&gateway, &["porch", "beside"]);
    device.set_cameras(&[("porch", &camera.source("wrong-one")), ("beside", BESIDE)]);
    let _agent = device.start_connected();
    let porch = gateway.http().until_status("porch", "degraded");
    let why = porch["why"].as_str().unwrap();
    assert!(why.contains("refuses this user and password") && !why.contains("wrong-one"), "{why}");
    goes_on(&gateway, &device);
}

#[test]
fn what_a_camera_uploads_by_ftp_is_kept_with_its_time_once_it_is_whole() {
    let gateway = Gateway::start();
    let http = gateway.http();
    let device = Device::enrolled(&gateway, &["yard", "beside"]);
    let (drop_off, file) = (device.path("drop"), device.path("picture.jpg"));
    fs::create_dir(&drop_off).unwrap();
    let source = format!("{{ type = \"folder\", path = {:?} }}", text(&drop_off));
    device.set_cameras(&[("yard", &source), ("beside", BESIDE)]);
    let ftp = FtpServer::start(&drop_off);
    let _agent = device.start_connected();
    http.until_status("yard", "online");
    let today = jiff::Timestamp::now().strftime("%Y%m%d").to_string();
    let is_kept = |name: &str| kept(&device, "yard").iter().any(|file| file.ends_with(name));

    fs::write(&file, picture(1)).unwrap();
    ftp.upload(&file, &format!("cam/{today}000001.jpg"));
    http.until("/v1/cameras/yard", |_| is_kept(&format!("{today}/000001.000.jpg")));

    // The connection breaks in the middle of a picture.
    fs::write(&file, picture(LARGE)).unwrap();
    let begun = format!("cam/{today}000002.jpg");
    let _uploading = ftp.upload_slowly(&file, &begun);
    let part = |path: &Path| path.metadata().map_or(0, |about| about.len());
    http.until("/v1/cameras/yard", |_| part(&drop_off.join(&begun)) > 0);
    ftp.cut();
    assert!(part(&drop_off.join(&begun)) < picture(LARGE).len() as u64);
    goes_on(&gateway, &device);

    let ftp = FtpServer::start(&drop_off);
    for (hostile, name) in [(bomb(), "bomb.jpg"), (b"no picture".to_vec(), "text.jpg")] {
        fs::write(&file, hostile).unwrap();
        ftp.upload(&file, name);
    }
    fs::write(&file, picture(3)).unwrap();
    ftp.upload(&file, &format!("cam/{today}000003.jpg"));
    http.until("/v1/cameras/yard", |_| is_kept(&format!("{today}/000003.000.jpg")));
    assert_eq!(kept(&device, "yard").len(), 2);

    // The camera sends the broken one again.
    fs::write(&file, picture(LARGE)).unwrap();
    ftp.upload(&file, &begun);
    http.until("/v1/cameras/yard", |_| is_kept(&format!("{today}/000002.000.jpg")));
    assert_eq!(of_size(&device, "yard", picture(LARGE).len()), 1);
}

#[test]
fn a_folder_that_is_away_is_said_and_comes_back() {
    let gateway = Gateway::start();
    let http = gateway.http();
    let device = Device::enrolled(&gateway, &["yard", "beside"]);
    let (drop_off, away) = (device.path("drop"), device.path("away"));
    fs::create_dir(&drop_off).unwrap();
    let source = format!("{{ type = \"folder\", path = {:?} }}", text(&drop_off));
    device.set_cameras(&[("yard", &source), ("beside", BESIDE)]);
    let _agent = device.start_connected();
    http.until_status("yard", "online");
    fs::rename(&drop_off, &away).unwrap();
    let yard = http.until_status("yard", "degraded");
    assert!(yard["why"].as_str().is_some_and(|why| why.contains("is not there")), "{yard}");
    goes_on(&gateway, &device);
    fs::rename(&away, &drop_off).unwrap();
    http.until_status("yard", "online");
}
