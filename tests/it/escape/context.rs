//! Contexts that are hostile themselves: what comes as an archive or under a name of its own leads
//! out by its Dockerfile, its ignore file or its links. Who runs rbuild did not write them.

use super::Attack;
use super::Ends::Refused;
use super::Ends::With;
use super::Sent;
use super::withstand;

const fn attack(
    name: &'static str,
    files: &'static str,
    dockerfile: &'static str,
    (sent, ends): (Sent, super::Ends),
) -> Attack {
    Attack {
        name,
        files,
        dockerfile,
        sent,
        ends,
    }
}

const TAR: &str = "FROM scratch\nCOPY . /";

pub(super) const ARCHIVES: &[Attack] = &[
    attack(
        "Dockerfile is a link out",
        "mkdir w; ln -s $OUT/canary w/Dockerfile; tar -C w -cf context.tar .",
        TAR,
        (Sent::Tar, Refused("leads out")),
    ),
    attack(
        "-f names a link out",
        "mkdir w; ln -s $OUT/canary w/other; tar -C w -cf context.tar .",
        TAR,
        (Sent::TarWith(&["-f", "other"]), Refused("leads out")),
    ),
    attack(
        "-f climbs out of an archive",
        "tar -cf context.tar Dockerfile",
        TAR,
        (
            Sent::TarWith(&["-f", "../../../../../../../../../../..OUT/canary"]),
            Refused("leads out"),
        ),
    ),
    attack(
        "-f through a link to a directory",
        "mkdir w; ln -s $OUT w/l; tar -C w -cf context.tar .",
        TAR,
        (Sent::TarWith(&["-f", "l/canary"]), Refused("leads out")),
    ),
    attack(
        "ignore file is a link out",
        "mkdir w; mv Dockerfile w; ln -s $OUT/canary w/.dockerignore; touch w/f; tar -C w -cf context.tar .",
        TAR,
        (Sent::Tar, Refused("leads out")),
    ),
    attack(
        "own ignore file is a link out",
        "mkdir w; mv Dockerfile w; ln -s $OUT/canary w/Dockerfile.dockerignore; touch w/f; tar -C w -cf context.tar .",
        TAR,
        (Sent::Tar, Refused("leads out")),
    ),
    attack(
        "names of the archive climb",
        "echo mine > f; tar -Pcf context.tar --transform=s,^f$,../../../../../../..$OUT/new, Dockerfile f",
        TAR,
        (Sent::Tar, With(&["Dockerfile"])),
    ),
    attack(
        "names of the archive are absolute",
        "echo mine > f; tar -Pcf context.tar --transform=s,^f$,$OUT/canary, Dockerfile f",
        TAR,
        (Sent::Tar, With(&["Dockerfile"])),
    ),
    attack(
        "a link of the archive, then a file behind it",
        "mkdir w; mv Dockerfile w; ln -s $OUT w/l; tar -C w -cf context.tar Dockerfile l; rm w/l; mkdir w/l; echo mine > w/l/canary; tar -C w -rf context.tar l/canary",
        TAR,
        (Sent::Tar, With(&["Dockerfile", "l"])),
    ),
    attack(
        "COPY of a link of the archive",
        "mkdir w; mv Dockerfile w; ln -s $OUT/canary w/l; tar -C w -cf context.tar .",
        "FROM scratch\nCOPY l /x",
        (Sent::Tar, Refused("does not exist")),
    ),
    attack(
        "bind mount of a link of the archive",
        "mkdir w; mv Dockerfile w; ln -s $OUT w/l; tar -C w -cf context.tar .",
        "BASE\nRUN --mount=type=bind,source=l,target=/m cat /m/canary",
        (Sent::Tar, Refused("l")),
    ),
];

const FOLDERS: &[Attack] = &[
    attack(
        "-f names a link out of a folder",
        "mkdir docker; ln -s $OUT/canary docker/ci",
        "FROM scratch",
        (Sent::With(&["-f", "docker/ci"]), Refused("leads out")),
    ),
    attack(
        "ignore file of what -f names is a link out",
        "mkdir docker; mv Dockerfile docker/ci; ln -s $OUT/canary docker/ci.dockerignore",
        "FROM scratch\nCOPY . /",
        (Sent::With(&["-f", "docker/ci"]), Refused("leads out")),
    ),
];

pub(super) const NAMED: &[Attack] = &[
    attack(
        "named context with a link out",
        "mkdir n; ln -s $OUT n/l",
        "FROM scratch\nCOPY --from=n l/canary /x",
        (
            Sent::With(&["--build-context", "n=n"]),
            Refused("does not exist"),
        ),
    ),
    attack(
        "named context with ..",
        "mkdir n",
        "FROM scratch\nCOPY --from=n ../../OUT/canary /x",
        (
            Sent::With(&["--build-context", "n=n"]),
            Refused("does not exist"),
        ),
    ),
    attack(
        "bind mount of a named context's link",
        "mkdir n; ln -s $OUT n/l",
        "BASE\nRUN --mount=type=bind,from=n,source=l,target=/m cat /m/canary",
        (Sent::With(&["--build-context", "n=n"]), Refused("l")),
    ),
    attack(
        "named context's ignore file is a link out",
        "mkdir n; ln -s $OUT/canary n/.dockerignore; touch n/f",
        "FROM scratch\nCOPY --from=n . /",
        (
            Sent::With(&["--build-context", "n=n"]),
            Refused("leads out"),
        ),
    ),
    attack(
        "git context whose name is an option",
        "touch f",
        "FROM scratch\nADD https://127.0.0.1:9/x.git#--upload-pack=touch${IFS}OUT/new /",
        (Sent::Folder, Refused("--upload-pack")),
    ),
    attack(
        "git by a protocol that runs programs",
        "touch f",
        "FROM scratch\nADD git@-oProxyCommand=touch${IFS}OUT/new:x.git /",
        (Sent::Folder, Refused("")),
    ),
];

#[test]
fn no_archive_as_context_leads_out() {
    withstand(ARCHIVES);
}

#[test]
fn no_folder_as_context_leads_out() {
    withstand(FOLDERS);
}

#[test]
fn no_named_context_leads_out() {
    withstand(NAMED);
}
