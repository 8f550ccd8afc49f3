//! Registries that are slow, broken, strict or hostile.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::process::Command;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use rbuild::oci::Descriptor;
use rbuild::oci::Index;
use rbuild::oci::Manifest;
use rbuild::oci::Platform;
use rbuild::oci::media_type;
use rbuild::progress::Event;
use rbuild::progress::Sink;
use rbuild::remote;
use rbuild::remote::Destination;
use rbuild::remote::Download;
use rbuild::remote::Error;
use rbuild::remote::Pull;
use rbuild::remote::Validators;
use rbuild::store::Store;

use crate::remote::Home;
use crate::remote::causes;
use crate::remote::name;
use crate::remote::noise;
use crate::remote::query;
use crate::support::port::free_port;
use crate::support::registry::Demand;
use crate::support::registry::FakeRegistry;
use crate::support::wait::PATIENCE;
use crate::support::wire::Fault;

/// Puts an image of `layers` into `registry` as `app:1`, and gives its manifest.
fn publish(registry: &FakeRegistry, layers: &[&[u8]]) -> (Descriptor, Manifest) {
    let maker = Home::new();
    let image = maker.image(layers);
    let bytes = maker.store.read(&image.digest).unwrap();
    let manifest = Manifest::parse(&bytes).unwrap();
    let config = maker.store.read(&manifest.config.digest).unwrap();
    registry.put_blob("app", &config);
    for layer in layers {
        registry.put_blob("app", layer);
    }
    registry.put_manifest("app", "1", media_type::MANIFEST, &bytes);
    (image, manifest)
}

fn app(registry: &FakeRegistry) -> String {
    format!("{}/app:1", registry.host())
}

/// A home whose user is `user` with `password` at `registry`.
fn logged_in(registry: &FakeRegistry, entry: &str) -> Home {
    let text = format!(r#"{{"auths":{{"{}":{entry}}}}}"#, registry.host());
    Home::with_config(&text, |_| ())
}

const LOGIN: &str = r#"{"username":"user","password":"password"}"#;

#[tokio::test]
async fn what_fails_in_passing_is_tried_again() {
    let layer = noise(3_000_000);
    for fault in [
        Fault::Status(500, "", "oops"),
        Fault::Status(429, "retry-after: 0", ""),
        Fault::Status(503, "", ""),
        Fault::Close,
        Fault::Cut(1_000_000),
        Fault::CutSilently(1_000_000),
    ] {
        let registry = FakeRegistry::start(Demand::Nothing);
        let (_, manifest) = publish(&registry, &[&layer]);
        registry.fault("GET", &manifest.layers[0].digest.hex(), 2, fault.clone());
        let home = Home::new();
        home.pull(&app(&registry)).await.unwrap();
        let reader = home.store.open_blob(&manifest.layers[0]).unwrap();
        reader.finish().unwrap();
        let asked = registry.count("GET", &manifest.layers[0].digest.hex());
        assert_eq!(asked, 3, "{fault:?}");
    }
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    let layer = noise(3_000_000);
    let registry = FakeRegistry::start(Demand::Nothing);
    let (_, manifest) = publish(&registry, &[&layer]);
    let hex = manifest.layers[0].digest.hex();
    registry.fault("GET", &hex, 1, Fault::Cut(2_000_000));
    let home = Home::new();
    home.pull(&app(&registry)).await.unwrap();
    let ranges: Vec<String> = registry
        .requests()
        .iter()
        .filter(|request| request.target.contains(&hex))
        .filter_map(|request| request.headers.get("range").cloned())
        .collect();
    assert_eq!(ranges, ["bytes=2000000-"]);

    // A registry that knows no ranges sends all again.
    let registry = FakeRegistry::start(Demand::Nothing);
    let (_, manifest) = publish(&registry, &[&layer]);
    let hex = manifest.layers[0].digest.hex();
    registry.fault("GET", &hex, 1, Fault::Cut(2_000_000));
    registry.fault("GET", &hex, 1, Fault::IgnoreRange);
    let home = Home::new();
    home.pull(&app(&registry)).await.unwrap();
    let reader = home.store.open_blob(&manifest.layers[0]).unwrap();
    reader.finish().unwrap();
}

/// How many files are being written, or were.
fn unfinished(store: &Store) -> usize {
    let all = fs::read_dir(store.root().join("tmp")).unwrap();
    let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with("lease-")).count()
}

#[tokio::test]
async fn patience_has_an_end() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let (_, manifest) = publish(&registry, &[b"layer"]);
    let hex = manifest.layers[0].digest.hex();
    for (fault, status) in [
        (Fault::Status(502, "", "<html>bad gateway"), Some(502)),
        (Fault::Close, None),
        (Fault::Cut(1), None),
        (Fault::CutSilently(1), None),
    ] {
        registry.fault("GET", &hex, 3, fault.clone());
        let home = Home::new();
        let error = home.pull(&app(&registry)).await.unwrap_err();
        assert_eq!(error.status(), status, "{fault:?}: {}", causes(&error));
        assert!(!home.store.contains(&manifest.layers[0]));
        assert_eq!(unfinished(&home.store), 0, "{fault:?}");
    }
}

#[tokio::test]
async fn a_rate_limit_is_explained_and_not_sat_out() {
    let registry = FakeRegistry::start(Demand::Nothing);
    publish(&registry, &[b"layer"]);
    let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your limit"}]}"#;
    registry.fault(
        "GET",
        "/manifests/",
        1,
        Fault::Status(429, "retry-after: 21600", body),
    );
    let began = Instant::now();
    let error = Home::new().pull(&app(&registry)).await.unwrap_err();
    // The server asks for hours.
    assert!(began.elapsed() < Duration::from_secs(600));
    assert_eq!(registry.count("GET", "/manifests/"), 1);
    let text = causes(&error);
    assert!(
        text.contains("429: TOOMANYREQUESTS: You have reached your limit"),
        "{text}"
    );
    assert!(error.hint().unwrap().contains("mirror"), "{error:?}");
}

#[tokio::test]
async fn bytes_that_are_not_those_promised_are_refused() {
    for (fault, part) in [
        (Fault::Corrupt, "layer"),
        (Fault::Lengthen, "layer"),
        (Fault::Corrupt, "manifest"),
        (Fault::Corrupt, "config"),
        (Fault::Lengthen, "config"),
    ] {
        let registry = FakeRegistry::start(Demand::Nothing);
        let (image, manifest) = publish(&registry, &[b"a layer"]);
        let digest = match part {
            "layer" => manifest.layers[0].digest,
            "config" => manifest.config.digest,
            _ => image.digest,
        };
        let target = if part == "manifest" {
            "/manifests/1".to_owned()
        } else {
            digest.hex()
        };
        registry.fault("GET", &target, 9, fault.clone());
        let home = Home::new();
        let error = home.pull(&app(&registry)).await.unwrap_err();
        let text = causes(&error);
        assert!(
            text.contains("was asked for") || text.contains("descriptor says"),
            "{text}"
        );
        assert!(text.contains(&registry.host()), "{text}");
        assert!(home.store.read(&digest).is_err(), "{fault:?} {part}");
    }
}

#[tokio::test]
async fn a_damaged_mirror_is_passed_over() {
    let layer = noise(100_000);
    let good = FakeRegistry::start(Demand::Nothing);
    let (image, manifest) = publish(&good, &[&layer]);
    let bad = FakeRegistry::start(Demand::Nothing);
    publish(&bad, &[&layer]);
    bad.fault("GET", "/blobs/", 99, Fault::Corrupt);
    let closed = format!("127.0.0.1:{}", free_port());
    let home = Home::mirrored(&good.host(), &[&closed, &bad.host()]);
    let pulled = home.pull(&app(&good)).await.unwrap();
    assert_eq!(pulled.root.digest, image.digest);
    assert!(home.store.contains(&manifest.layers[0]));
    assert!(bad.count("GET", "ns=127.0.0.1") > 0);
    bad.fault("GET", "/manifests/", 99, Fault::Status(503, "", ""));
    let other = Home::mirrored(&good.host(), &[&bad.host()]);
    let before = bad.count("GET", "/manifests/");
    other.pull(&app(&good)).await.unwrap();
    assert_eq!(bad.count("GET", "/manifests/"), before + 2);

    // What is new never goes to a mirror.
    let new = home.image(&[b"new"]);
    home.push(&new, &app(&good)).await.unwrap();
    assert_eq!(bad.count("POST", ""), 0);
}

#[tokio::test]
async fn all_places_are_named_if_none_helps() {
    let empty = FakeRegistry::start(Demand::Nothing);
    let closed = format!("127.0.0.1:{}", free_port());
    let home = Home::mirrored(&closed, &[&empty.host()]);
    let error = home.pull(&format!("{closed}/app:1")).await.unwrap_err();
    let text = causes(&error);
    for part in [
        "cannot resolve",
        &format!("{}: GET", empty.host()),
        "404: MANIFEST_UNKNOWN: manifest unknown",
        "Connection refused",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let hint = error.hint().unwrap();
    assert!(
        hint.contains(&format!("nothing listens at {closed}")),
        "{hint}"
    );
}

#[tokio::test]
async fn tokens_are_fetched_once_and_again_when_they_expire() {
    let layers: Vec<Vec<u8>> = (0..8).map(|n| noise(1000 + n)).collect();
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let registry = FakeRegistry::start(Demand::Token);
    let (_, manifest) = publish(&registry, &layers);
    for layer in &manifest.layers {
        registry.fault("GET", &layer.digest.hex(), 1, Fault::Together(6));
    }
    let home = Home::new();
    home.pull(&app(&registry)).await.unwrap();
    assert_eq!(registry.count("GET", "/token"), 1);
    assert_eq!(registry.most_at_once(), 6);

    registry.expire_tokens();
    let always = query(&app(&registry), Pull::Always);
    remote::resolve(&home.client, &always).await.unwrap();
    assert_eq!(registry.count("GET", "/token"), 2);
}

#[tokio::test]
async fn every_kind_of_credential_is_sent_as_it_must() {
    for (demand, entry) in [
        (Demand::Password, LOGIN),
        (Demand::Token, LOGIN),
        (Demand::Token, r#"{"identitytoken":"identity"}"#),
    ] {
        let registry = FakeRegistry::start(demand);
        let home = logged_in(&registry, entry);
        let image = home.image(&[b"layer"]);
        home.push(&image, &app(&registry)).await.unwrap();
        let again = logged_in(&registry, entry);
        again.pull(&app(&registry)).await.unwrap();
        let nobody = Home::new();
        let image = nobody.image(&[b"other layer"]);
        let error = nobody.push(&image, &app(&registry)).await.unwrap_err();
        assert_eq!(error.status(), Some(401), "{error:?}");
    }
}

#[tokio::test]
async fn secrets_are_in_no_message() {
    for (demand, entry) in [
        (
            Demand::Password,
            r#"{"username":"user","password":"s3cret"}"#,
        ),
        (Demand::Token, r#"{"username":"user","password":"s3cret"}"#),
        (Demand::Token, r#"{"identitytoken":"s3cret"}"#),
        (Demand::Token, r#"{"registrytoken":"s3cret"}"#),
    ] {
        let registry = FakeRegistry::start(demand);
        let home = logged_in(&registry, entry);
        let image = home.image(&[b"layer"]);
        let error = home.push(&image, &app(&registry)).await.unwrap_err();
        let text = format!("{} {error:?}", causes(&error));
        assert_eq!(error.status(), Some(401), "{text}");
        assert!(
            !text.contains("s3cret") && !text.contains("czNjcmV0"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn what_is_public_is_pulled_with_a_wrong_password() {
    let registry = FakeRegistry::start(Demand::Token);
    publish(&registry, &[b"layer"]);
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&warnings);
    let text = format!(
        r#"{{"auths":{{"{}":{{"username":"user","password":"old"}}}}}}"#,
        registry.host()
    );
    let home = Home::with_config(&text, |options| {
        options.sink = Sink::new(move |event| {
            if let Event::Warning { message } = event {
                seen.lock().unwrap().push(message);
            }
        });
    });
    home.pull(&app(&registry)).await.unwrap();
    let warnings = warnings.lock().unwrap().clone();
    assert!(
        warnings[0].contains("refused the credentials of"),
        "{warnings:?}"
    );
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let image = home.image(&[b"mine"]);
    let error = home.push(&image, &app(&registry)).await.unwrap_err();
    assert!(
        error.hint().unwrap().contains("docker login 127"),
        "{error:?}"
    );
    assert!(
        causes(&error).contains("incorrect username or password"),
        "{error:?}"
    );
}

#[tokio::test]
async fn credentials_do_not_follow_to_another_host() {
    let cdn = FakeRegistry::start(Demand::Nothing);
    let registry = FakeRegistry::start(Demand::Password);
    let (_, manifest) = publish(&registry, &[b"layer"]);
    cdn.put_blob("cdn", b"layer");
    let digest = manifest.layers[0].digest;
    // Another name of this machine is another host.
    let place = format!(
        "http://localhost:{}/v2/cdn/blobs/{digest}?signature=s3cret",
        cdn.host().rsplit(':').next().unwrap()
    );
    registry.fault("GET", &digest.hex(), 1, Fault::Redirect(place));
    let home = logged_in(&registry, LOGIN);
    home.pull(&app(&registry)).await.unwrap();
    let followed = cdn.requests();
    assert_eq!(followed.len(), 1);
    assert_eq!(followed[0].headers.get("authorization"), None);
}

#[tokio::test]
async fn an_upload_elsewhere_takes_no_credentials_along() {
    let elsewhere = FakeRegistry::start(Demand::Nothing);
    let registry = FakeRegistry::start(Demand::Password);
    let home = logged_in(&registry, LOGIN);
    let image = home.image(&[b"layer"]);
    let header = format!(
        "location: http://{}/v2/app/blobs/uploads/1?state=secret",
        elsewhere.host()
    );
    let fault = Fault::Status(202, Box::leak(header.into_boxed_str()), "");
    registry.fault("POST", "/blobs/uploads/", 9, fault);
    home.push(&image, &app(&registry)).await.unwrap();
    let puts = elsewhere.requests();
    assert_eq!(puts.len(), 2);
    assert!(
        puts.iter()
            .all(|put| !put.headers.contains_key("authorization"))
    );
}

#[tokio::test]
async fn a_realm_that_is_not_safe_gets_no_password() {
    let registry = FakeRegistry::start(Demand::Nothing);
    publish(&registry, &[b"layer"]);
    let demand = "www-authenticate: Bearer realm=\"http://198.51.100.1/token\"";
    registry.fault("GET", "/manifests/", 9, Fault::Status(401, demand, ""));
    let home = logged_in(&registry, LOGIN);
    let error = causes(&home.pull(&app(&registry)).await.unwrap_err());
    assert!(error.contains("neither encrypted nor local"), "{error}");
}

#[tokio::test]
async fn a_broken_off_upload_is_begun_again() {
    let layer = noise(2_000_000);
    for (fault, puts) in [
        // The registry has it, but its answer was lost.
        (Fault::Close, 2),
        (Fault::Status(500, "", ""), 3),
        (Fault::Status(404, "", ""), 3),
    ] {
        let registry = FakeRegistry::start(Demand::Token);
        let home = logged_in(&registry, LOGIN);
        let image = home.image(&[&layer]);
        registry.fault("PUT", "/blobs/uploads/", 1, fault.clone());
        home.push(&image, &app(&registry)).await.unwrap();
        let there = logged_in(&registry, LOGIN);
        there.pull(&app(&registry)).await.unwrap();
        assert_eq!(registry.count("PUT", "/blobs/uploads/"), puts, "{fault:?}");
    }
}

#[tokio::test]
async fn the_manifest_is_pushed_last_and_only_what_is_missing() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let home = Home::new();
    let first = home.image(&[b"base", b"one"]);
    home.push(&first, &app(&registry)).await.unwrap();
    let second = home.image(&[b"base", b"two"]);
    home.push(&second, &app(&registry)).await.unwrap();
    let puts: Vec<String> = registry
        .requests()
        .iter()
        .filter(|request| request.method == "PUT")
        .map(|request| request.target.clone())
        .collect();
    assert_eq!(puts.len(), 7, "{puts:?}");
    assert!(
        puts[3].ends_with("/manifests/1") && puts[6].ends_with("/manifests/1"),
        "{puts:?}"
    );
    home.push(&second, &app(&registry)).await.unwrap();
    assert_eq!(registry.count("PUT", ""), 7);
}

#[tokio::test]
async fn layers_are_borrowed_from_another_repository() {
    for lends in [true, false] {
        let registry = FakeRegistry::start(Demand::Token);
        let (_, base) = publish(&registry, &[b"base"]);
        if !lends {
            registry.lend_nothing();
        }
        let home = logged_in(&registry, LOGIN);
        let image = home.image(&[b"base", b"own"]);
        // A base layer need not even be here to be pushed.
        fs::remove_file(home.store.blob_path(&base.layers[0].digest)).unwrap();
        let own = name(&format!("{}/own:1", registry.host()));
        let destination = Destination {
            name: own.clone(),
            sources: BTreeMap::from([(base.layers[0].digest, name(&app(&registry)))]),
        };
        let step = Sink::silent().step("push");
        remote::push(&home.client, &image, &destination, &step)
            .await
            .unwrap();
        assert_eq!(registry.count("POST", "mount="), 1);
        let puts = if lends { 2 } else { 3 };
        assert_eq!(registry.count("PUT", "/blobs/uploads/"), puts);
        let there = logged_in(&registry, LOGIN);
        there.pull(&own.to_string()).await.unwrap();
    }
}

#[tokio::test]
async fn an_index_is_pushed_with_its_images() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let home = Home::new();
    let host = home.image(&[b"host"]);
    let mut other = home.image(&[b"other"]);
    other.platform = Some("linux/s390x".parse().unwrap());
    let index = Index::new(vec![other, host.clone()]);
    let root = home
        .store
        .put(media_type::INDEX, &index.to_bytes())
        .unwrap();
    home.push(&root, &app(&registry)).await.unwrap();
    let there = Home::new();
    let pulled = there.pull(&app(&registry)).await.unwrap();
    assert_eq!(pulled.root.digest, root.digest);
    assert_eq!(pulled.image.descriptor.digest, host.digest);

    // The same tag serves another platform from the same index.
    let mut wanted = query(&app(&registry), Pull::Missing);
    wanted.platform = "linux/s390x".parse().unwrap();
    remote::resolve(&there.client, &wanted).await.unwrap();
    assert_eq!(registry.count("GET", "/manifests/1"), 1);
    wanted.platform = "linux/riscv64".parse().unwrap();
    let error = remote::resolve(&Home::new().client, &wanted)
        .await
        .unwrap_err();
    let text = causes(&error);
    let expected = format!(
        "no image for linux/riscv64; it has linux/s390x, {}",
        Platform::host()
    );
    assert!(text.contains(&expected), "{text}");
}

#[tokio::test]
async fn an_immutable_tag_that_is_already_right_is_fine() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let home = Home::new();
    let image = home.image(&[b"layer"]);
    let bytes = home.store.read(&image.digest).unwrap();
    let body = r#"{"errors":[{"code":"TAG_INVALID","message":"the tag is immutable"}]}"#;
    registry.fault("HEAD", "/manifests/", 1, Fault::Status(404, "", ""));
    registry.fault("PUT", "/manifests/", 2, Fault::Status(400, "", body));
    registry.put_manifest("app", "1", media_type::MANIFEST, &bytes);
    home.push(&image, &app(&registry)).await.unwrap();

    registry.put_manifest("app", "1", media_type::MANIFEST, b"{}");
    let error = home.push(&image, &app(&registry)).await.unwrap_err();
    assert!(
        causes(&error).contains("TAG_INVALID: the tag is immutable"),
        "{error:?}"
    );
}

#[tokio::test]
async fn documents_that_are_no_images_are_refused() {
    let huge = format!(r#"{{"schemaVersion":2,"x":"{}"}}"#, "y".repeat(5 << 20));
    for (media_type, body, message) in [
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "{}",
            "schema 1",
        ),
        ("text/html", "<html>", "no image"),
        (media_type::MANIFEST, "{", "cannot understand"),
        (
            media_type::INDEX,
            r#"{"schemaVersion":2}"#,
            "cannot understand",
        ),
        (media_type::MANIFEST, &huge, "more than 4194304 bytes"),
    ] {
        let registry = FakeRegistry::start(Demand::Nothing);
        registry.put_manifest("app", "1", media_type, body.as_bytes());
        let error = Home::new().pull(&app(&registry)).await.unwrap_err();
        let text = causes(&error);
        assert!(text.contains(message), "{message:?} in {text}");
    }
}

#[tokio::test]
async fn a_tag_is_asked_about_without_being_counted() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let (image, _) = publish(&registry, &[b"layer"]);
    let home = Home::new();
    home.pull(&app(&registry)).await.unwrap();
    let always = query(&app(&registry), Pull::Always);
    remote::resolve(&home.client, &always).await.unwrap();
    assert_eq!(registry.count("GET", "/manifests/"), 1);
    assert_eq!(registry.count("HEAD", "/manifests/"), 1);
    let (newer, _) = publish(&registry, &[b"newer layer"]);
    let resolved = remote::resolve(&home.client, &always).await.unwrap();
    assert_eq!(resolved.root.digest, newer.digest);
    let pinned = format!("{}@{}", app(&registry), image.digest);
    let pinned = query(&pinned, Pull::Always);
    let before = registry.requests().len();
    remote::resolve(&home.client, &pinned).await.unwrap();
    assert_eq!(registry.requests().len(), before);
}

#[tokio::test]
async fn a_blob_wanted_twice_is_fetched_once() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let layer = noise(500_000);
    let (_, manifest) = publish(&registry, &[&layer, &layer]);
    let home = Home::new();
    home.pull(&app(&registry)).await.unwrap();
    assert_eq!(registry.count("GET", &manifest.layers[0].digest.hex()), 1);
}

#[tokio::test]
async fn silence_has_an_end_in_both_directions() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let (_, manifest) = publish(&registry, &[b"layer"]);
    let home = Home::with(|options| {
        options.retry.attempts = 1;
        options.retry.silence = Duration::from_millis(300);
    });
    let long = PATIENCE;
    registry.fault(
        "GET",
        &manifest.layers[0].digest.hex(),
        1,
        Fault::Delay(long),
    );
    let error = home.pull(&app(&registry)).await.unwrap_err();
    assert!(
        causes(&error).contains("next to nothing came for"),
        "{error:?}"
    );

    let drip = Fault::Drip(Duration::from_millis(100));
    let (_, long_layer) = publish(&registry, &[&noise(1000)]);
    let hex = long_layer.layers[0].digest.hex();
    registry.fault("GET", &hex, 1, drip);
    let other = query(&app(&registry), Pull::Always);
    let step = Sink::silent().step("pull");
    let error = remote::pull(&home.client, &other, &step).await.unwrap_err();
    assert!(
        causes(&error).contains("next to nothing came for"),
        "{error:?}"
    );

    // Whoever waits longer has it in the end.
    let patient = Home::with(|options| options.store = home.store.clone());
    let pulled = remote::pull(&patient.client, &other, &step).await.unwrap();
    let other = format!("{}/other:1", registry.host());
    registry.fault("PUT", "/blobs/uploads/", 1, Fault::Delay(long));
    let error = home.push(&pulled.root, &other).await.unwrap_err();
    assert!(
        causes(&error).contains("next to nothing came for"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_layer_is_borrowed_from_where_it_was_seen() {
    let registry = FakeRegistry::start(Demand::Nothing);
    publish(&registry, &[b"base"]);
    let home = Home::new();
    let resolved = remote::resolve(&home.client, &query(&app(&registry), Pull::Missing)).await;
    assert!(
        !home
            .store
            .contains(&resolved.unwrap().image.manifest.layers[0])
    );
    let image = home.image(&[b"base", b"own"]);
    let base = rbuild::oci::Digest::of(b"base");
    fs::remove_file(home.store.blob_path(&base)).unwrap();
    // The second repository borrows what the first was given, too.
    for (name, mounts) in [("one", 1), ("two", 1 + 3)] {
        let full = format!("{}/{name}:1", registry.host());
        home.push(&image, &full).await.unwrap();
        assert_eq!(registry.count("POST", "mount="), mounts);
    }
    assert_eq!(registry.count("PUT", "/blobs/uploads/"), 2);
    assert_eq!(registry.count("GET", &base.hex()), 0);
}

#[tokio::test]
async fn a_blob_is_read_while_it_arrives() {
    let layer = noise(3_000_000);
    let registry = FakeRegistry::start(Demand::Nothing);
    let (_, manifest) = publish(&registry, &[&layer]);
    let hex = manifest.layers[0].digest.hex();
    let repository = name(&app(&registry));
    let step = Sink::silent().step("pull");
    for (fault, is_whole) in [(Fault::Cut(1_000_000), true), (Fault::Corrupt, false)] {
        let home = Home::new();
        registry.fault("GET", &hex, 1, fault.clone());
        let (tap, mut tapped) = remote::Tap::new();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            tapped.read_to_end(&mut bytes).map(|_| bytes)
        });
        let wanted = remote::Wanted {
            repository: &repository,
            blob: &manifest.layers[0],
        };
        let fetched = remote::fetch_blob_tapped(&home.client, wanted, &step, tap).await;
        assert_eq!(fetched.is_ok(), is_whole, "{fault:?}");
        let read = reader.join().unwrap();
        assert_eq!(read.ok(), is_whole.then(|| layer.clone()), "{fault:?}");
    }
}

#[tokio::test]
async fn a_layer_registries_may_not_have_comes_from_its_maker() {
    let maker = FakeRegistry::start(Demand::Nothing);
    let digest = maker.put_blob("windows", b"layer");
    let registry = FakeRegistry::start(Demand::Nothing);
    let mut layer = Descriptor::of(
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        b"layer",
    );
    layer.urls = vec![format!("http://{}/v2/windows/blobs/{digest}", maker.host())];
    let home = Home::new();
    let step = Sink::silent().step("pull");
    let repository = name(&app(&registry));
    remote::fetch_blob(&home.client, &repository, &layer, &step)
        .await
        .unwrap();
    assert_eq!(home.store.read(&digest).unwrap(), b"layer");

    // And it is not pushed.
    let mut manifest = home.image(&[b"layer"]);
    let bytes = home.store.read(&manifest.digest).unwrap();
    let mut parsed = Manifest::parse(&bytes).unwrap();
    parsed.layers = vec![layer];
    manifest = home
        .store
        .put(media_type::MANIFEST, &parsed.to_bytes())
        .unwrap();
    home.push(&manifest, &app(&registry)).await.unwrap();
    assert_eq!(registry.count("HEAD", &digest.hex()), 0);
}

#[tokio::test]
async fn a_full_disk_is_named_and_not_blamed_on_the_registry() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let (_, manifest) = publish(&registry, &[&noise(3_000_000)]);
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(folder.path())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        crate::support::skip("mounting a tmpfs is not permitted");
        return;
    }
    let store = Store::open(&folder.path().join("root")).unwrap();
    let home = Home::with(|options| options.store = store.clone());
    let error = home.pull(&app(&registry)).await.unwrap_err();
    let left = unfinished(&store);
    let _ = Command::new("umount")
        .arg("--lazy")
        .arg(folder.path())
        .status();
    let text = causes(&error);
    assert!(text.contains("No space left on device"), "{text}");
    assert!(text.contains(folder.path().to_str().unwrap()), "{text}");
    assert_eq!(left, 0);
    assert_eq!(registry.count("GET", &manifest.layers[0].digest.hex()), 1);
}

#[tokio::test]
async fn nothing_is_pruned_while_something_is_pulled() {
    let registry = FakeRegistry::start(Demand::Nothing);
    publish(&registry, &[b"layer"]);
    let Home {
        _folder,
        store,
        client,
    } = Home::new();
    let query = query(&app(&registry), Pull::Missing);
    let resolved = remote::resolve(&client, &query).await.unwrap();
    let other = Store::open(store.root()).unwrap();
    let image = resolved.image;
    let is_kept = || {
        let pruning = other.begin_pruning().unwrap();
        other.prune(&pruning, &[]).unwrap();
        other.contains(&image.descriptor) && other.contains(&image.manifest.config)
    };
    store.untag(&app(&registry).parse().unwrap()).unwrap();
    assert!(is_kept());
    drop((client, store));
    assert!(!is_kept());
}

fn download(registry: &FakeRegistry, path: &str) -> Download {
    Download {
        url: format!("http://{}{path}", registry.host()),
        authorization: None,
        known: None,
        checksum: None,
        limit_bytes: None,
    }
}

#[tokio::test]
async fn a_file_is_downloaded_checked_and_not_fetched_again() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let bytes = noise(300_000);
    let digest = registry.put_blob("files", &bytes);
    let path = format!("/v2/files/blobs/{digest}?key=s3cret");
    let home = Home::new();
    let step = Sink::silent().step("ADD");
    registry.fault("GET", "/files/", 1, Fault::Cut(1000));
    let mut wanted = download(&registry, &path);
    wanted.checksum = Some(digest);
    wanted.authorization = Some("Bearer mine".to_owned());
    let file = remote::download(&home.client, &wanted, &step)
        .await
        .unwrap();
    assert_eq!(file.unwrap().blob.digest, digest);
    let sent = registry.requests()[0].headers["authorization"].clone();
    assert_eq!(sent, "Bearer mine");

    wanted.known = Some(Validators {
        etag: Some("\"1\"".to_owned()),
        last_modified: None,
    });
    registry.fault("GET", "/files/", 1, Fault::Status(304, "", ""));
    let unchanged = remote::download(&home.client, &wanted, &step)
        .await
        .unwrap();
    assert_eq!(unchanged, None);

    wanted.checksum = Some(rbuild::oci::Digest::of(b"other"));
    let error = remote::download(&home.client, &wanted, &step)
        .await
        .unwrap_err();
    let text = causes(&error);
    assert!(
        text.contains("was asked for") && !text.contains("s3cret"),
        "{text}"
    );

    wanted.checksum = None;
    wanted.limit_bytes = Some(1000);
    let error = remote::download(&home.client, &wanted, &step)
        .await
        .unwrap_err();
    assert!(causes(&error).contains("more than 1000 bytes"), "{error:?}");
    for url in ["ftp://x/y", "nonsense", "http://"] {
        wanted.url = url.to_owned();
        let error = remote::download(&home.client, &wanted, &step)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Url { .. }), "{url}: {error}");
    }
}

#[test]
fn the_stories_can_be_run_by_other_threads() {
    fn needs_send<T: Send>(value: T) -> T {
        value
    }
    let home = Home::new();
    let step = Sink::silent().step("x");
    let wanted = query("app", Pull::Never);
    let image = home.image(&[]);
    let destination = Destination {
        name: name("app"),
        sources: BTreeMap::new(),
    };
    drop(needs_send(remote::resolve(&home.client, &wanted)));
    drop(needs_send(remote::pull(&home.client, &wanted, &step)));
    drop(needs_send(remote::push(
        &home.client,
        &image,
        &destination,
        &step,
    )));
}

#[tokio::test]
async fn a_credential_helper_that_is_not_installed_is_named() {
    let registry = FakeRegistry::start(Demand::Password);
    publish(&registry, &[b"layer"]);
    let helpers = [
        r#"{"credsStore":"nowhere"}"#.to_owned(),
        format!(r#"{{"credHelpers":{{"{}":"nowhere"}}}}"#, registry.host()),
    ];
    for config in helpers {
        let home = Home::with_config(&config, |_| ());
        let error = causes(&home.pull(&app(&registry)).await.unwrap_err());
        let told = "docker-credential-nowhere is not installed";
        assert!(error.contains(told), "{error}");
    }
}
