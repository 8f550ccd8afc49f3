//! Layers on their way between a registry and a build.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::fail_with;
use crate::support::home::succeed;
use crate::support::registry::Demand;
use crate::support::registry::FakeRegistry;
use crate::support::require;
use crate::support::wire::Fault;

/// Bytes that no compression makes smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Builds an image of one large layer and pushes it as `app:1`; gives the layer's file name.
fn publish(registry: &FakeRegistry) -> String {
    let maker = Home::new();
    maker.write("context/dir/small", "content");
    let context = maker.context("FROM scratch\nCOPY dir /dir\n");
    fs::write(context.join("dir/large"), noise(3_000_000)).unwrap();
    let name = format!("{}/app:1", registry.host());
    let mut build = maker.build(&context);
    // The same bytes each time.
    build.env("SOURCE_DATE_EPOCH", "0");
    succeed(build.args(["-t", &name, "--push"]));
    let blobs = fs::read_dir(maker.path("root/blobs/sha256")).unwrap();
    let layer = blobs
        .map(Result::unwrap)
        .find(|blob| blob.metadata().unwrap().len() > 1_000_000);
    layer.unwrap().file_name().into_string().unwrap()
}

/// What of the snapshots is no business of a process that still runs.
fn snapshots(home: &Home) -> Vec<String> {
    let entries = fs::read_dir(home.path("root/snapshots")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| ![".empty", ".lock"].contains(&name.as_str()))
        .collect()
}

/// A build that reads the files of `app:1`.
fn context(home: &Home, registry: &FakeRegistry) -> std::path::PathBuf {
    home.context(&format!(
        "FROM {}/app:1 AS base\nFROM scratch\nCOPY --from=base /dir /dir\n",
        registry.host()
    ))
}

fn is_right(out: &Path) {
    assert_eq!(fs::read(out.join("dir/small")).unwrap(), b"content");
    assert_eq!(fs::read(out.join("dir/large")).unwrap(), noise(3_000_000));
}

#[test]
fn a_layer_is_unpacked_while_it_arrives_and_goes_on_where_it_broke_off() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    let registry = FakeRegistry::start(Demand::Nothing);
    let layer = publish(&registry);
    for fault in [
        Fault::Cut(1_000_000),
        Fault::CutSilently(1_000_000),
        Fault::Status(503, "", ""),
    ] {
        let home = Home::new();
        let context = context(&home, &registry);
        let before = registry.count("GET", &layer);
        registry.fault("GET", &layer, 2, fault.clone());
        let out = home.path("out");
        let to = format!("type=local,dest={}", out.display());
        succeed(home.build(&context).args(["-o", &to]));
        is_right(&out);
        assert_eq!(registry.count("GET", &layer) - before, 3, "{fault:?}");
    }
}

#[test]
fn a_layer_of_a_mirror_that_fails_comes_from_the_registry() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    let (mirror, registry) = (
        FakeRegistry::start(Demand::Nothing),
        FakeRegistry::start(Demand::Nothing),
    );
    let layer = publish(&mirror);
    assert_eq!(publish(&registry), layer);
    let home = Home::new();
    let (host, other) = (registry.host(), mirror.host());
    home.write(
        "rbuild.toml",
        &format!("[registry.{host:?}]\nmirrors = [{other:?}]\n"),
    );
    let context = context(&home, &registry);
    mirror.fault("GET", &layer, 1, Fault::Corrupt);
    let out = home.path("out");
    let to = format!("type=local,dest={}", out.display());
    succeed(home.build(&context).args(["-o", &to]));
    is_right(&out);
    assert_eq!(mirror.count("GET", &layer), 1);
    assert_eq!(registry.count("GET", &layer), 1);
}

#[test]
fn a_layer_that_is_not_what_it_should_be_leaves_nothing() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    let registry = FakeRegistry::start(Demand::Nothing);
    let layer = publish(&registry);
    let home = Home::new();
    let context = context(&home, &registry);
    registry.fault("GET", &layer, 1, Fault::Corrupt);
    let failed = fail_with(4, &mut home.build(&context));
    assert!(failed.stderr.contains(&layer), "{}", failed.stderr);
    assert_eq!(snapshots(&home), Vec::<String>::new());
    assert!(!home.path("root/blobs/sha256").join(&layer).exists());
    succeed(&mut home.build(&context));
}

#[test]
fn a_base_that_nothing_reads_stays_where_it_is_until_it_is_needed() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    let registry = FakeRegistry::start(Demand::Nothing);
    let layer = publish(&registry);
    let home = Home::new();
    let from = format!("FROM {}/app:1\nENV a=b\n", registry.host());
    succeed(home.build(&home.context(&from)).args(["-t", "mine"]));
    for questions in [&["inspect", "mine"][..], &["du"], &["prune", "--all"]] {
        succeed(home.rbuild().args(questions));
    }
    assert_eq!(registry.count("GET", &layer), 0);
    let reader = home.context("FROM mine AS base\nFROM scratch\nCOPY --from=base /dir /dir\n");
    registry.fault("GET", &layer, 1, Fault::Status(404, "", ""));
    let failed = fail_with(4, &mut home.build(&reader));
    assert!(failed.stderr.contains(&layer), "{}", failed.stderr);
    let out = home.path("out");
    let to = format!("type=local,dest={}", out.display());
    succeed(home.build(&reader).args(["-o", &to]));
    is_right(&out);
    assert_eq!(registry.count("GET", &layer), 2);
}

#[test]
fn linked_copies_leave_their_base_where_it_is() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    let registry = FakeRegistry::start(Demand::Nothing);
    let layer = publish(&registry);
    let home = Home::new();
    home.write("context/more/file", "more");
    let linked = format!(
        "FROM {}/app:1\nCOPY --link more/file /dir/file\nADD --link --chown=1:root more /more\n\
         COPY --link <<EOF /here\ntext\nEOF\n",
        registry.host()
    );
    succeed(home.build(&home.context(&linked)).args(["-t", "mine"]));
    assert_eq!(registry.count("GET", &layer), 0);
    // What follows is made upon the base after all.
    let followed = home.context(&format!("{linked}WORKDIR /dir/deep\n"));
    succeed(&mut home.build(&followed));
    assert_eq!(registry.count("GET", &layer), 1);
    let out = home.path("out");
    let to = format!("type=local,dest={}", out.display());
    succeed(home.build(&followed).args(["-o", &to]));
    is_right(&out);
    assert!(out.join("dir/file").is_file() && out.join("here").is_file());
    assert!(out.join("dir/deep").is_dir());
    assert_eq!(out.join("more/file").metadata().unwrap().uid(), 1);
}

#[test]
fn a_base_that_was_pruned_comes_back_for_what_is_packed_again() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    let registry = FakeRegistry::start(Demand::Nothing);
    let layer = publish(&registry);
    let home = Home::new();
    let base = format!("{}/app:1", registry.host());
    let context = home.context(&format!("FROM {base}\nWORKDIR /dir/deep\n"));
    let mut built = Vec::new();
    for times_fetched in [1, 2] {
        succeed(home.build(&context).args(["-t", "mine"]));
        assert_eq!(registry.count("GET", &layer), times_fetched);
        built.push(fs::read_to_string(home.path("root/index.json")).unwrap());
        for forget in [&["rmi", "mine", &base][..], &["prune"]] {
            succeed(home.rbuild().args(forget));
        }
    }
    assert_eq!(built[0], built[1]);
}

#[test]
fn files_of_a_base_that_no_instruction_reads_are_written() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    let registry = FakeRegistry::start(Demand::Nothing);
    publish(&registry);
    let home = Home::new();
    let from = format!("FROM {}/app:1\nENV a=b\n", registry.host());
    let out = home.path("out");
    let to = format!("type=local,dest={}", out.display());
    succeed(home.build(&home.context(&from)).args(["-o", &to]));
    is_right(&out);
}

#[test]
fn what_is_written_to_a_file_is_whole() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let layer = publish(&registry);
    let home = Home::new();
    let from = format!("FROM {}/app:1\nENV a=b\n", registry.host());
    let out = home.path("layout");
    let to = format!("type=oci,tar=false,dest={}", out.display());
    succeed(home.build(&home.context(&from)).args(["-o", &to]));
    assert!(out.join("blobs/sha256").join(layer).exists());
}

#[test]
fn a_base_that_the_registry_lends_is_never_fetched() {
    let registry = FakeRegistry::start(Demand::Nothing);
    let layer = publish(&registry);
    let (from, to) = (registry.host(), format!("{}/new:1", registry.host()));
    for lends in [true, false] {
        if !lends {
            registry.lend_nothing();
        }
        let home = Home::new();
        let name = if lends {
            to.clone()
        } else {
            format!("{from}/newer:1")
        };
        let context = home.context(&format!("FROM {from}/app:1\nENV a=b\n"));
        succeed(home.build(&context).args(["-t", &name, "--push"]));
        assert_eq!(registry.count("GET", &layer), usize::from(!lends));
    }
    assert_eq!(registry.count("POST", &format!("{layer}&from=app")), 2);
    assert_eq!(registry.count("PUT", "/v2/new/manifests/1"), 1);
    assert_eq!(registry.count("PUT", "/v2/newer/manifests/1"), 1);
}

#[test]
fn layers_are_sent_while_later_ones_are_made() {
    if !require(&[Feature::Root, Feature::Overlay]) {
        return;
    }
    for (source, code) in [("/dir/small", 0), ("/missing", 1)] {
        let registry = FakeRegistry::start(Demand::Nothing);
        let layer = publish(&registry);
        // The second layer cannot be made before the first was sent.
        let sent = || "/v2/new/blobs/uploads/".to_owned();
        registry.fault("GET", &layer, 1, Fault::After("PUT", sent()));
        let home = Home::new();
        home.write("context/file", "first");
        let (from, name) = (registry.host(), format!("{}/new:1", registry.host()));
        let context = home.context(&format!(
            "FROM scratch\nCOPY file /file\nCOPY --from={from}/app:1 {source} /second\n"
        ));
        fail_with(code, home.build(&context).args(["-t", &name, "--push"]));
        let requests = registry.requests();
        let place = |method: &str, part: &str, nth: usize| {
            let mut places = requests
                .iter()
                .enumerate()
                .filter(|(_, request)| request.method == method && request.target.contains(part));
            places.nth(nth).map(|(place, _)| place)
        };
        let first = place("PUT", &sent(), 0).unwrap();
        let is_built = code == 0;
        let second = place("HEAD", "/v2/new/blobs/", 1);
        assert_eq!(second.is_some(), is_built);
        assert!(second.is_none_or(|second| first < second), "{requests:?}");
        // A build that fails leaves no name.
        let named = place("PUT", "/v2/new/manifests/1", 0);
        assert_eq!(named.is_some(), is_built);
        assert!(named.is_none_or(|named| named == requests.len() - 1));
        assert_eq!(registry.count("PUT", &sent()), if is_built { 3 } else { 1 });
    }
}
