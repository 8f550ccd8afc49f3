//! Images for several platforms on their way to and from registries.

use super::ARCH;
use super::BOTH;
use super::build;
use super::home;
use super::publish;
use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::fail_with;
use crate::support::home::succeed;
use crate::support::registry::Demand;
use crate::support::registry::FakeRegistry;
use crate::support::require;

#[test]
fn is_pushed_whole_and_pulled_by_platform() {
    if !require(&[Feature::Root]) {
        return;
    }
    let registry = FakeRegistry::start(Demand::Nothing);
    let maker = home(ARCH);
    let name = format!("{}/app:1", registry.host());
    let id = succeed(build(&maker, BOTH).args(["-q", "--push", "-t", &name])).stdout;
    // Whoever sees the name finds all that it leads to.
    let sent = registry.requests();
    let puts: Vec<&str> = sent
        .iter()
        .filter(|request| request.method == "PUT" && request.path().contains("/manifests/"))
        .map(|request| request.path())
        .collect();
    assert_eq!(puts.len(), 3, "{puts:?}");
    assert!(puts[2].ends_with("/manifests/1"), "{puts:?}");
    for (platforms, has) in [("linux/arm64", "arm64"), (BOTH, "amd64")] {
        let home = Home::new();
        let mut pull = home.rbuild();
        let pulled = succeed(pull.args(["pull", "--platform", platforms, &name])).stdout;
        assert_eq!(pulled, id);
        let mut inspect = home.rbuild();
        let platform = format!("linux/{has}");
        let seen = succeed(inspect.args(["inspect", "--platform", &platform, &name])).stdout;
        assert!(
            seen.contains(&format!("\"Architecture\": \"{has}\"")),
            "{seen}"
        );
    }
}

#[test]
fn what_is_here_for_other_platforms_can_be_fetched_for_one() {
    if !require(&[Feature::Root, Feature::Namespaces]) {
        return;
    }
    let registry = FakeRegistry::start(Demand::Nothing);
    let host = rbuild::oci::Platform::host();
    let platforms = format!("linux/s390x,{host}");
    let maker = home("FROM scratch\nCOPY same /same\n");
    let name = format!("{}/app:1", registry.host());
    succeed(build(&maker, &platforms).args(["--push", "-t", &name]));
    let home = Home::new();
    succeed(
        home.rbuild()
            .args(["pull", "--platform", "linux/s390x", &name]),
    );
    let mut never = home.rbuild();
    fail_with(125, never.args(["run", "--pull=never", &name, "/none"]));
    // It is found and has no such program.
    fail_with(127, home.rbuild().args(["run", &name, "/none"]));
    let seen = succeed(home.rbuild().args(["inspect", &name])).stdout;
    assert!(seen.contains(&host.to_string()), "{seen}");
    // A base too.
    let builder = home;
    builder.write("context/Dockerfile", &format!("FROM {name}\nLABEL a=b\n"));
    succeed(&mut build(&builder, &platforms));
}

#[test]
fn a_platform_that_was_not_pulled_is_named_with_the_way_to_get_it() {
    if !require(&[Feature::Root]) {
        return;
    }
    let registry = FakeRegistry::start(Demand::Nothing);
    let name = publish(&registry, "app:1", BOTH);
    let home = home(&format!("FROM {name}\nCOPY same /same\n"));
    let mut pull = home.rbuild();
    succeed(pull.args(["pull", "--platform", "linux/amd64", &name]));
    let refused = |code, command: &[&str]| {
        let mut line = home.rbuild();
        line.args(command)
            .args(["--platform", "linux/arm64", &name]);
        fail_with(code, &mut line).stderr
    };
    for said in [
        refused(1, &["inspect"]),
        refused(1, &["history"]),
        refused(125, &["run", "--pull=never"]),
        fail_with(1, build(&home, BOTH).arg("--pull=never")).stderr,
    ] {
        assert!(said.contains("for linux/arm64"), "{said}");
        let way = "rbuild pull --platform linux/arm64";
        assert!(said.contains(way), "{said}");
    }
    succeed(home.rbuild().args(["inspect", &name]));
}

#[test]
fn of_an_index_what_is_here_is_pushed_and_the_rest_is_told() {
    if !require(&[Feature::Root]) {
        return;
    }
    let registry = FakeRegistry::start(Demand::Nothing);
    let three = "linux/amd64,linux/arm64,linux/arm/v7";
    let name = publish(&registry, "app:1", three);
    let other = format!("{}/copy:1", registry.host());
    for (here, left) in [
        ("linux/arm64", &["linux/amd64", "linux/arm/v7"][..]),
        (BOTH, &["linux/arm/v7"]),
        (three, &[]),
    ] {
        let home = Home::new();
        let mut pull = home.rbuild();
        let whole = succeed(pull.args(["pull", "--platform", here, &name])).stdout;
        let pushed = succeed(home.rbuild().args(["push", &name, &other]));
        assert_eq!(pushed.stderr.contains("not here"), !left.is_empty());
        for platform in left {
            assert!(pushed.stderr.contains(platform), "{}", pushed.stderr);
        }
        assert_eq!(pushed.stdout == whole, left.is_empty());
        // What was pushed serves whom it is for.
        for platform in here.split(',') {
            let taker = Home::new();
            let mut pull = taker.rbuild();
            succeed(pull.args(["pull", "--platform", platform, &other]));
        }
    }
}
