//! Promises of the configuration.

use super::*;

const GOOD: &str = r#"
    [[gateway]]
    url = "wss://gateway.example"
    code = "oen_secret"

    [[camera]]
    id = "porch"
    upload = "on_demand"
    retention = "2w"
    source = { type = "simulator", interval_ms = 500 }
"#;

fn refused(text: &str) -> String {
    match Config::from_toml(text) {
        Ok(config) => config.check().unwrap_err().to_string(),
        Err(why) => why,
    }
}

#[test]
fn what_is_not_said_has_a_default() {
    let config = Config::from_toml(GOOD).unwrap();
    config.check().unwrap();
    let camera = &config.cameras[0];
    assert_eq!((camera.spool_bytes, camera.retention.as_secs()), (256 << 20, 14 * 86_400));
    assert_eq!((camera.preview_bytes, camera.main_bytes, camera.uplink), (256 << 20, 1 << 30, None));
    assert_eq!(camera.images_retention.as_secs(), 7 * 86_400);
    assert_eq!(config.gateways[0].url.as_str(), "https://gateway.example/");
}

#[test]
fn an_unknown_option_is_refused_with_its_line_and_the_nearest_known_one() {
    let why = refused(&GOOD.replace("retention", "retension"));
    assert!(why.contains("line 9") && why.contains("did you mean `retention`?"), "{why}");
    let why = refused(&GOOD.replace("interval_ms", "intervall_ms"));
    assert!(why.contains("did you mean `interval_ms`?"), "{why}");
}

#[test]
fn a_wrong_value_is_named_with_its_option() {
    for (from, to, words) in [
        ("on_demand", "sometimes", "upload = \"sometimes\""),
        ("2w", "2 fortnights", "retention = \"2 fortnights\""),
        ("\"porch\"", "\"Porch\"", "\"Porch\" is not a camera id"),
        ("500", "0", "camera porch: source.interval_ms = 0"),
        ("retention", "images_retention = \"2 months\"\nretention", "images_retention = \"2 months\""),
        ("retention", "images_retention = \"0d\"\nretention", "camera porch: images_retention = 0"),
        (
            "retention",
            "preview_bytes = 65535\nretention",
            "camera porch: preview_bytes = 65535: at least 65536",
        ),
        ("retention", "main_bytes = 1\nretention", "camera porch: main_bytes = 1: at least"),
        ("retention", "uplink = 1023\nretention", "camera porch: uplink = 1023: at least 1024"),
        ("wss://gateway.example", "gateway.example", "with its scheme"),
        ("wss://gateway.example", "http://gateway.example", "plain text"),
        ("wss://gateway.example", "https://me:pw@gateway.example", "user name"),
    ] {
        let why = refused(&GOOD.replace(from, to));
        assert!(why.contains(words), "{why}");
    }
}

#[test]
fn plain_text_stays_on_this_machine_unless_asked_for() {
    for url in ["ws://localhost:1", "http://127.0.0.5", "http://[::1]:8080"] {
        Config::from_toml(&GOOD.replace("wss://gateway.example", url)).unwrap().check().unwrap();
    }
    let insecure = GOOD.replace("code =", "insecure = true\ncode =");
    Config::from_toml(&insecure.replace("wss:", "ws:")).unwrap().check().unwrap();
}

#[test]
fn no_secret_shows_in_debug_output_or_errors() {
    let config = Config::from_toml(GOOD).unwrap();
    assert!(!format!("{config:?}").contains("oen_secret"));
    let broken = GOOD.replace("code = \"oen_secret\"", "code = \"oen_secret");
    assert!(!refused(&broken).contains("oen_secret"));
    for url in [
        "https://me:oen_secret@gateway.example",
        "https://me:oen?oen_secret@gateway.example",
        "https://gateway.example/?code=oen@oen_secret",
        "https://gateway.example/#oen@oen_secret",
        "https://gateway.example/@?code=oen_secret",
    ] {
        let password = refused(&GOOD.replace("wss://gateway.example", url));
        assert!(!password.contains("oen_secret"), "{password}");
    }
}

#[test]
fn a_relative_path_lies_beside_the_file_wherever_the_program_is_started() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("agent.toml");
    let read = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Config::read(&file).unwrap()
    };
    for (said, meant) in [("", "camera-agent"), ("state = \"kept\"", "kept")] {
        assert_eq!(read(&format!("{said}\n{GOOD}")).state, dir.path().join(meant));
    }
    assert_eq!(read(&format!("state = \"/var/lib/kept\"\n{GOOD}")).state, Path::new("/var/lib/kept"));
    let gateway = GOOD.replace("code = \"oen_secret\"", "ca = \"ca.pem\"\ncode_file = \"/run/code\"");
    let gateway = &read(&gateway).gateways[0];
    assert_eq!(gateway.ca, Some(dir.path().join("ca.pem")));
    assert_eq!(gateway.code_file, Some(PathBuf::from("/run/code")));
    let snapshot =
        SNAPSHOT.replace("password = \"hush\"", "password_file = \"secrets/porch\", ca = \"ca.pem\"");
    let SourceConfig::Snapshot(snapshot) = &read(&with_source(&snapshot)).cameras[0].source else { panic!() };
    assert_eq!(snapshot.password_file, Some(dir.path().join("secrets/porch")));
    assert_eq!(snapshot.ca, Some(dir.path().join("ca.pem")));
    for (said, meant) in [("../porch", dir.path().join("../porch")), ("/srv/porch", "/srv/porch".into())] {
        let source = FOLDER.replace("/srv/porch", said);
        let SourceConfig::Folder(folder) = &read(&with_source(&source)).cameras[0].source else { panic!() };
        assert_eq!(folder.path, meant);
    }
    assert!(read(&with_source(&FOLDER.replace("/srv/porch", ""))).check().is_err(), "no folder is none");
}

const SNAPSHOT: &str =
    r#"{ type = "snapshot", url = "http://192.168.1.64/still.jpg", user = "me", password = "hush" }"#;

const FOLDER: &str = r#"{ type = "folder", path = "/srv/porch" }"#;

const TAIL: &str = r#"{ type = "tail", path = "/var/log/app.log" }"#;

const SYSLOG: &str = r#"{ type = "syslog", allow = ["10.1.0.0/16", "10.2.0.7"] }"#;

/// A configuration with this source.
fn with_source(source: &str) -> String {
    GOOD.replace(r#"{ type = "simulator", interval_ms = 500 }"#, source)
}

#[test]
fn each_source_says_what_it_gives() {
    let both = vec![oriel_proto::ImageClass::Preview, oriel_proto::ImageClass::Main];
    let main = vec![oriel_proto::ImageClass::Main];
    for (source, kind, classes, takes) in [
        (r#"{ type = "simulator" }"#, "simulator", both.clone(), true),
        (r#"{ type = "simulator", preview_ms = 0 }"#, "simulator", main.clone(), true),
        (r#"{ type = "simulator", preview_ms = 0, main_ms = 0 }"#, "simulator", vec![], false),
        (SNAPSHOT, "snapshot", both.clone(), true),
        (&SNAPSHOT.replace("user", r#"class = "main", user"#), "snapshot", main.clone(), true),
        (FOLDER, "folder", both, false),
        (&FOLDER.replace("path", r#"class = "main", path"#), "folder", main, false),
        (TAIL, "tail", vec![], false),
        (SYSLOG, "syslog", vec![], false),
    ] {
        let config = Config::from_toml(&with_source(source)).unwrap();
        config.check().unwrap();
        let source = &config.cameras[0].source;
        let offers = source.offers();
        assert_eq!((source.to_string().as_str(), &offers.classes, offers.snapshot), (kind, &classes, takes));
        assert_eq!(offers.live, !classes.is_empty());
    }
}

#[test]
fn a_source_that_makes_no_sense_is_refused_in_words_without_a_secret() {
    for (source, from, to, words) in [
        (SNAPSHOT, "http:", "ftp:", "expected http:// or https://"),
        (SNAPSHOT, "192.168", "me:hush@192.168", "give user and password"),
        (SNAPSHOT, "http://192.168.1.64/still.jpg", "rtsp://cam/s?password=p@hush", "url = \"…\": expected"),
        (SNAPSHOT, "http://192.168.1.64/still.jpg", "rtsp://me:p#hush@cam/s", "url = \"…\""),
        (SNAPSHOT, "http://192.168.1.64/still.jpg", "rtsp://cam/s?password=hush", "url = \"rtsp://cam/s\""),
        (SNAPSHOT, "user = \"me\", ", "", "source.password = …: it needs user"),
        (SNAPSHOT, ", password = \"hush\"", "", "source.user = me: it needs password"),
        (SNAPSHOT, "password", "password_file = \"x\", password", "there is a password too"),
        (SNAPSHOT, "user", "ca = \"ca.pem\", user", "does not use TLS"),
        (SNAPSHOT, "user", "interval_ms = 99, user", "source.interval_ms = 99: at least 100"),
        (SNAPSHOT, "user", "timeout_ms = 60001, user", "expected 100 to 60000"),
        (SNAPSHOT, "user", "class = \"thermal\", user", "expected \"preview\" or \"main\""),
        (SNAPSHOT, "user", "passwort = \"hush\", user", "did you mean `password`?"),
        (FOLDER, "/srv/porch", "", "expected a folder"),
        (FOLDER, "path", "depth = 9, path", "source.depth = 9: at most 8"),
        (FOLDER, "path", "time_zone = \"Europe/Nowhere\", path", "source.time_zone = Europe/Nowhere"),
        (FOLDER, "path", "times = \"exif\", path", "line"),
        (TAIL, "/var/log/app.log", "/", "source.path = /: expected a file"),
        (TAIL, "path", "kind = \"\", path", "source.kind = : expected 1 to 64 bytes"),
        (TAIL, "path", "time_zone = \"Nowhere\", path", "source.time_zone = Nowhere"),
        (TAIL, "path", "fromstart = true, path", "did you mean `from_start`?"),
        (SYSLOG, "allow", "listen = \"5514\", allow", "invalid socket address"),
        (SYSLOG, "10.2.0.7", "here", "allow = \"here\": expected a network"),
        (SYSLOG, "\"10.1.0.0/16\", \"10.2.0.7\"", "", "source.allow = 0: expected 1 to 64 networks"),
        (SYSLOG, "allow", "kind = \" \", allow", "expected 1 to 64 bytes"),
        (r#"{ type = "simulator", main_ms = 39 }"#, "39", "39", "at least 40, or 0 for none"),
        (r#"{ type = "simulators" }"#, "simulators", "simulators", "did you mean `simulator`?"),
    ] {
        let why = refused(&with_source(&source.replacen(from, to, 1)));
        assert!(why.contains(words), "{why}");
        assert!(!why.contains("hush"), "{why}");
    }
    let debug = format!("{:?}", Config::from_toml(&with_source(SNAPSHOT)).unwrap());
    assert!(!debug.contains("hush"), "{debug}");
}

#[test]
fn every_camera_of_the_guide_is_a_good_configuration() {
    let guides = [
        include_str!("../../../docs/guide/cameras.md"),
        include_str!("../../../docs/guide/configuration.md"),
        include_str!("../../../docs/guide/logs.md"),
    ];
    let blocks = guides.iter().flat_map(|guide| guide.split("```toml\n").skip(1));
    let blocks: Vec<_> = blocks.map(|block| block.split("```").next().unwrap()).collect();
    let gateway = "[[gateway]]\nurl = \"https://gateway.example\"\n";
    let mut seen = 0;
    for block in blocks {
        let text = if block.starts_with("[[camera]]") || block.starts_with("state =") {
            block.to_owned()
        } else if block.starts_with("[camera.source]") {
            format!("[[camera]]\nid = \"porch\"\n{block}")
        } else {
            continue;
        };
        let text = if text.contains("[[gateway]]") { text } else { format!("{gateway}{text}") };
        Config::from_toml(&text).and_then(|config| config.check().map_err(|e| e.to_string())).unwrap();
        seen += 1;
    }
    assert_eq!(seen, 11);
}
