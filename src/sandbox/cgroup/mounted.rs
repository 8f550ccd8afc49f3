//! Which hierarchies there are, as the kernel tells it.

use std::path::Component;
use std::path::Path;

use crate::sandbox::cgroup::place::Place;
use crate::sandbox::cgroup::place::Version;

/// Reads what is mounted and where in it this process is.
pub(super) fn places(mounts: &str, own: &str) -> Vec<Place> {
    mounts.lines().filter_map(|line| place(line, own)).collect()
}

/// Reads a line of `/proc/self/mountinfo`: number, parent, device, root, mount point, options, …,
/// a dash, type, source, options of the file system.
fn place(line: &str, own: &str) -> Option<Place> {
    let (mount, system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let (root, point) = (mount.next()?, mount.next()?);
    let mut system = system.split(' ');
    let (kind, options) = (system.next()?, system.nth(1)?);
    let version = match kind {
        "cgroup" => Version::One,
        "cgroup2" => Version::Two,
        _ => return None,
    };
    let controllers: Vec<String> = match version {
        Version::One => options.split(',').map(str::to_owned).collect(),
        Version::Two => Vec::new(),
    };
    // A line of /proc/self/cgroup is number:controllers:path.
    let group = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next()?, fields.next()?);
        let is_it = match version {
            Version::One => names
                .split(',')
                .any(|name| !name.is_empty() && controllers.iter().any(|known| known == name)),
            Version::Two => names.is_empty(),
        };
        is_it.then_some(path)
    })?;
    // What a container sees may begin at its own group, or be out of its bounds, `/..`.
    let inside = Path::new(group).strip_prefix(root).ok()?;
    let is_out = inside.components().any(|part| part == Component::ParentDir);
    let top = Path::new(point);
    let own = (!is_out).then(|| top.join(inside))?;
    let (above, own) = match version {
        Version::One => (own, None),
        Version::Two => (top.to_owned(), Some(own)),
    };
    Some(Place::new(version, controllers, &above, own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_version_1_are_found() {
        let mounts = "25 20 0:21 / /proc rw - proc proc rw\n\
            31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            32 30 0:28 /docker/1 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
            33 30 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n";
        let own = "3:cpu,cpuacct:/a/b\n2:memory:/docker/1\n1:name=systemd:/\n0::/\n";
        let found = places(mounts, own);
        let parents: Vec<_> = found.iter().map(|place| place.parent.as_path()).collect();
        let expected = [
            "/sys/fs/cgroup/cpu,cpuacct/a/b/rbuild",
            "/sys/fs/cgroup/memory/rbuild",
            "/sys/fs/cgroup/systemd/rbuild",
        ];
        assert_eq!(parents, expected.map(Path::new));
        assert!(found[0].has("cpu") && !found[0].has("memory") && found[1].has("memory"));
    }

    #[test]
    fn the_hierarchy_of_version_2_is_entered_at_its_top() {
        let mounts = "31 30 0:27 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let found = places(mounts, "0::/user.slice/session-1.scope\n");
        assert_eq!(found[0].version, Version::Two);
        assert_eq!(found[0].parent, Path::new("/sys/fs/cgroup/rbuild"));
    }

    #[test]
    fn what_is_not_seen_is_not_there() {
        let mounts = "31 30 0:27 /other /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
        assert!(places(mounts, "2:memory:/mine\n").is_empty());
        let mounts = "31 30 0:27 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        assert!(places(mounts, "0::/\n").is_empty());
        let mounts = "31 30 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        assert!(places(mounts, "0::/../outside\n").is_empty());
        assert!(places("", "").is_empty());
        assert!(places("nonsense\n1 - cgroup\n", "::\n").is_empty());
    }
}
