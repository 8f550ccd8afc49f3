//! `RUN --mount` whose sources, targets or names lead out.

use super::Attack;
use super::Ends::Refused;
use super::Ends::With;
use super::Sent;
use super::withstand;

const fn attack(
    name: &'static str,
    files: &'static str,
    dockerfile: &'static str,
    ends: super::Ends,
) -> Attack {
    Attack {
        name,
        files,
        dockerfile,
        sent: Sent::With(&["--secret", "id=s,src=Dockerfile"]),
        ends,
    }
}

/// Links that lead to the guarded folder, for the base.
const LINKS: &str = "mkdir tree; ln -s $OUT tree/out; ln -s $OUT/canary tree/canary-link
    ln -s ../../../../../../../../../..$OUT tree/climbing; ln -s $OUT/new tree/dangling";

pub(super) const MOUNTS: &[Attack] = &[
    attack(
        "bind source with ..",
        "",
        "BASE\nRUN --mount=type=bind,source=../../../../OUT,target=/m cat /m/canary",
        Refused(""),
    ),
    attack(
        "bind source is a link out",
        "ln -s $OUT l",
        "BASE\nRUN --mount=type=bind,source=l,target=/m cat /m/canary",
        Refused("l"),
    ),
    attack(
        "bind source of a stage is a link out",
        LINKS,
        "BASE AS a\nCOPY tree /\nFROM base\nRUN --mount=type=bind,from=a,source=/out,target=/m cat /m/canary",
        Refused("out"),
    ),
    attack(
        "writable bind changes nothing",
        "mkdir d; echo mine > d/f",
        "BASE\nRUN --mount=type=bind,source=d,target=/m,rw echo no > /m/f; mkdir /m/new\nCOPY d /d/\nRUN [ \"$(cat /d/f)\" = mine ]",
        With(&["d/f"]),
    ),
    attack(
        "read-only bind cannot be made writable",
        "echo mine > f",
        "BASE\nRUN --mount=type=bind,target=/m mount -o remount,rw /m; ! echo no > /m/f",
        With(&[]),
    ),
    attack(
        "bind target through a link",
        LINKS,
        "BASE\nCOPY tree /\nRUN --mount=type=bind,target=/out/m ls /out/m",
        With(&["out"]),
    ),
    attack(
        "bind target through a climbing link",
        LINKS,
        "BASE\nCOPY tree /\nRUN --mount=type=bind,target=/climbing/m ls /climbing/m",
        With(&["climbing"]),
    ),
    attack(
        "tmpfs target is a link out",
        LINKS,
        "BASE\nCOPY tree /\nRUN --mount=type=tmpfs,target=/out touch /out/x",
        With(&["out"]),
    ),
    attack(
        "tmpfs target with ..",
        "",
        "BASE\nRUN --mount=type=tmpfs,target=/../../../..OUT touch OUT/x",
        With(&[]),
    ),
    attack(
        "cache target is a dangling link",
        LINKS,
        "BASE\nCOPY tree /\nRUN --mount=type=cache,target=/dangling touch /dangling/x",
        With(&["dangling"]),
    ),
    attack(
        "cache id climbs",
        "",
        "BASE\nRUN --mount=type=cache,id=../../../../../../../../OUT,target=/c touch /c/new",
        With(&[]),
    ),
    attack(
        "cache keeps a link that leads out",
        "",
        "BASE\nRUN --mount=type=cache,id=a,target=/c ln -s OUT /c/l\nRUN --mount=type=cache,id=a,target=/c ! cat /c/l/canary && ! touch /c/l/new",
        With(&[]),
    ),
    attack(
        "cache source of a stage is a link out",
        LINKS,
        "BASE AS a\nCOPY tree /\nFROM base\nRUN --mount=type=cache,from=a,source=/out,target=/c cat /c/canary",
        Refused("out"),
    ),
    attack(
        "secret target is a link to a file",
        LINKS,
        "BASE\nCOPY tree /\nRUN --mount=type=secret,id=s,target=/canary-link cat /canary-link",
        With(&["canary-link"]),
    ),
    attack(
        "secret target through a link",
        LINKS,
        "BASE\nCOPY tree /\nRUN --mount=type=secret,id=s,target=/climbing/dir/canary cat /climbing/dir/canary",
        With(&["climbing"]),
    ),
    attack(
        "mount over /proc shows no other process",
        "",
        "BASE\nRUN --mount=type=tmpfs,target=/proc ls /proc | wc -l",
        With(&[]),
    ),
    attack(
        "a mount that follows one laid over its parent",
        LINKS,
        "BASE\nCOPY tree /\nRUN --mount=type=bind,source=tree,target=/m --mount=type=tmpfs,target=/m/out touch /m/out/x",
        With(&[]),
    ),
    attack(
        "RUN leaves a link where the next COPY goes",
        "echo mine > canary",
        "BASE\nRUN ln -s OUT /w\nCOPY canary /w/\nWORKDIR /w/more",
        With(&["w"]),
    ),
    attack(
        "RUN hides a name behind a device",
        "echo mine > f",
        "BASE\nRUN mknod /d c 0 0; mknod /e b 8 0; true\nCOPY f /x",
        With(&["x"]),
    ),
];

#[test]
fn no_mount_leads_out() {
    withstand(MOUNTS);
}
