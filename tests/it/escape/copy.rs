//! `COPY`, `ADD` and `WORKDIR` whose paths, links or archives lead out.

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
        sent: Sent::Folder,
        ends,
    }
}

/// The base has links that lead to the guarded folder: `/out`, `/climbing`, `/canary-link`,
/// `/dangling`, and `/loop`.
const LINKS: &str = "mkdir tree; ln -s $OUT tree/out; ln -s $OUT/canary tree/canary-link
    ln -s ../../../../../../../../../..$OUT tree/climbing; ln -s $OUT/new tree/dangling
    ln -s loop tree/loop; mkdir d; echo mine > file; echo mine > d/canary; chmod 600 file";

pub(super) const SOURCES: &[Attack] = &[
    attack(
        "source with ..",
        "",
        "FROM scratch\nCOPY ../../OUT/canary /x",
        Refused("does not exist"),
    ),
    attack(
        "absolute source",
        "",
        "FROM scratch\nCOPY OUT/canary /x",
        Refused("does not exist"),
    ),
    attack(
        "source is an absolute link out",
        "ln -s $OUT/canary l",
        "FROM scratch\nCOPY l /x",
        Refused("does not exist"),
    ),
    attack(
        "source is a climbing link out",
        "ln -s ../../../../../../../../..$OUT/canary l",
        "FROM scratch\nCOPY l /x",
        Refused("does not exist"),
    ),
    attack(
        "source through a link to a directory",
        "ln -s $OUT l",
        "FROM scratch\nCOPY l/canary /x",
        Refused("does not exist"),
    ),
    attack(
        "pattern through a link to a directory",
        "ln -s $OUT l",
        "FROM scratch\nCOPY l/can* /x/",
        With(&[]),
    ),
    attack(
        "pattern for a link and what is behind",
        "ln -s $OUT l; touch real",
        "FROM scratch\nCOPY * /x/",
        Refused("does not exist"),
    ),
    attack(
        "directory with links out",
        "mkdir d; ln -s $OUT d/a; ln -s $OUT/canary d/b",
        "FROM scratch\nCOPY d /d/",
        With(&["d/a", "d/b"]),
    ),
    attack(
        "chain of links out",
        "ln -s a b; ln -s /tmp/../$OUT a; ln -s b/canary c",
        "FROM scratch\nCOPY c /x",
        Refused("does not exist"),
    ),
    attack(
        "ADD of a link out",
        "ln -s $OUT/canary l",
        "FROM scratch\nADD l /x",
        Refused("does not exist"),
    ),
    attack(
        "--parents through a link",
        "ln -s $OUT l",
        "# syntax=docker/dockerfile:1\nFROM scratch\nCOPY --parents l/./canary /x/",
        Refused("does not exist"),
    ),
    attack(
        "--exclude does not open a link",
        "mkdir d; ln -s $OUT d/l; touch d/real",
        "FROM scratch\nCOPY --exclude=d/l/x d /x/",
        With(&["x/real", "x/l"]),
    ),
    attack(
        "a named pipe is copied, not read",
        "mkdir d; mkfifo d/pipe",
        "FROM scratch\nCOPY d /d/",
        With(&["d/pipe"]),
    ),
    attack(
        "a link to itself",
        "ln -s l l",
        "FROM scratch\nCOPY l /x",
        Refused("l"),
    ),
    attack(
        "stage with a link out as source",
        "ln -s $OUT l",
        "FROM scratch AS a\nCOPY . /\nFROM scratch\nCOPY --from=a /l/canary /x",
        Refused("does not exist"),
    ),
    attack(
        "stage with .. as source",
        "touch f",
        "FROM scratch AS a\nCOPY f /\nFROM scratch\nCOPY --from=a ../../../../OUT/canary /x",
        Refused("does not exist"),
    ),
    attack(
        "heredoc with a climbing name",
        "",
        "FROM scratch\nCOPY <<../../../../../../tmp/x /\nmine\n../../../../../../tmp/x\n",
        Refused("cannot be the name of a file"),
    ),
];

pub(super) const DESTINATIONS: &[Attack] = &[
    attack(
        "destination with ..",
        LINKS,
        "FROM scratch\nCOPY file /../../../../..OUT/new",
        With(&[]),
    ),
    attack(
        "destination through an absolute link",
        LINKS,
        "FROM scratch\nCOPY tree /\nCOPY file /out/new",
        With(&["out"]),
    ),
    attack(
        "destination through a climbing link",
        LINKS,
        "FROM scratch\nCOPY tree /\nCOPY file /climbing/new",
        With(&["climbing"]),
    ),
    attack(
        "destination is a link to a file",
        LINKS,
        "FROM scratch\nCOPY tree /\nCOPY file /canary-link",
        With(&["canary-link"]),
    ),
    attack(
        "destination is a dangling link",
        LINKS,
        "FROM scratch\nCOPY tree /\nCOPY file /dangling",
        With(&["dangling"]),
    ),
    attack(
        "destination is a loop",
        LINKS,
        "FROM scratch\nCOPY tree /\nCOPY file /loop/x",
        Refused("loop"),
    ),
    attack(
        "directory over a link",
        LINKS,
        "FROM scratch\nCOPY tree /\nCOPY d /out/",
        With(&["out"]),
    ),
    attack(
        "directory that becomes a link between two copies",
        LINKS,
        "FROM scratch\nCOPY tree /other\nCOPY d /other/climbing/\nCOPY tree /\nCOPY d /climbing/",
        With(&["climbing/canary"]),
    ),
    attack(
        "--chown and --chmod through a link",
        LINKS,
        "FROM scratch\nCOPY tree /\nCOPY --chown=7:7 --chmod=777 file /canary-link",
        With(&["canary-link"]),
    ),
    attack(
        "--link through a link",
        LINKS,
        "FROM scratch\nCOPY tree /\nCOPY --link file /out/new",
        With(&[]),
    ),
    attack(
        "WORKDIR through a link",
        LINKS,
        "FROM scratch\nCOPY tree /\nWORKDIR /out/new\nCOPY file .",
        With(&["out"]),
    ),
    attack(
        "WORKDIR with ..",
        LINKS,
        "FROM scratch\nCOPY tree /\nWORKDIR ../../../climbing/../x\nCOPY file .",
        With(&[]),
    ),
    attack(
        "WORKDIR is a dangling link",
        LINKS,
        "FROM scratch\nCOPY tree /\nWORKDIR /dangling\nCOPY file .",
        With(&["dangling"]),
    ),
    attack(
        "RUN in a working directory that leads out",
        LINKS,
        "BASE\nCOPY tree /\nWORKDIR /out\nRUN touch x; ls; cat canary || true",
        With(&["out"]),
    ),
    attack(
        "heredoc through a link",
        LINKS,
        "FROM scratch\nCOPY tree /\nCOPY <<canary /out/\nmine\ncanary\n",
        With(&["out"]),
    ),
    attack(
        "a hard link to what is copied over",
        "echo mine > a; ln a b",
        "FROM scratch\nCOPY a b /\nCOPY --from=host busybox /a",
        With(&["a", "b"]),
    ),
];

pub(super) const ARCHIVES: &[Attack] = &[
    attack(
        "archive with names that climb",
        "echo mine > f; tar -Pcf a.tar --transform=s,f,../../../../../../..$OUT/new, f",
        "FROM scratch\nADD a.tar /",
        With(&[]),
    ),
    attack(
        "archive with absolute names",
        "echo mine > f; tar -Pcf a.tar --transform=s,f,$OUT/canary, f",
        "FROM scratch\nADD a.tar /",
        With(&[]),
    ),
    attack(
        "archive with a link and a file behind it",
        "mkdir w; ln -s $OUT w/l; tar -C w -cf a.tar l; rm w/l; mkdir w/l; echo mine > w/l/canary; tar -C w -rf a.tar l/canary",
        "FROM scratch\nADD a.tar /",
        With(&["l"]),
    ),
    attack(
        "archive with a directory that becomes a link",
        "mkdir -p w/d; echo mine > w/d/a; tar -C w -cf a.tar d; rm -r w/d; ln -s $OUT w/d; tar -C w -rf a.tar d; rm w/d; mkdir w/d; echo mine > w/d/canary; tar -C w -rf a.tar d/canary",
        "FROM scratch\nADD a.tar /",
        With(&["d"]),
    ),
    attack(
        "archive with a hard link out",
        "echo mine > f; ln f g; tar -Pcf a.tar --transform=s,^f$,$OUT/canary,RSh f g",
        "FROM scratch\nADD a.tar /",
        Refused("hard link"),
    ),
    attack(
        "archive over a link of the base",
        "mkdir -p t w/out; ln -s $OUT t/out; echo mine > w/out/canary; tar -C w -cf a.tar out/canary",
        "FROM scratch\nCOPY t /\nADD a.tar /",
        With(&["out"]),
    ),
    attack(
        "archive into a destination that leads out",
        "mkdir t; ln -s $OUT t/out; echo mine > canary; tar -cf a.tar canary",
        "FROM scratch\nCOPY t /\nADD a.tar /out/",
        With(&["out"]),
    ),
    // In a layer the name says that `keep` is gone, whoever wrote it; it says so of nothing outside.
    attack(
        "archive with a whiteout of the base",
        "echo mine > .wh.keep; tar -cf a.tar .wh.keep; mkdir t; touch t/keep t/other",
        "FROM scratch\nCOPY t /\nADD a.tar /",
        With(&["other"]),
    ),
    attack(
        "archive with overlayfs's own attributes",
        "mkdir -p w/d t/d; touch t/d/keep; tar -C w --format=pax --pax-option=SCHILY.xattr.trusted.overlay.opaque:=y -cf a.tar d",
        "FROM scratch\nCOPY t /\nADD a.tar /",
        With(&["d/keep"]),
    ),
    attack(
        "archive with a link for its root",
        "mkdir w; ln -s $OUT w/l; tar -C w -Pcf a.tar --transform=s,^l$,.,S l; mkdir v; echo mine > v/canary; tar -C v -rf a.tar canary",
        "FROM scratch\nADD a.tar /",
        With(&["canary"]),
    ),
    attack(
        "compressed archive that is a link out",
        "tar -C $OUT -czf real.tgz --files-from=/dev/null; ln -s $OUT/canary a.tgz",
        "FROM scratch\nADD a.tgz /",
        Refused("does not exist"),
    ),
];

#[test]
fn no_source_leads_out() {
    withstand(SOURCES);
}

#[test]
fn no_destination_leads_out() {
    withstand(DESTINATIONS);
}

#[test]
fn no_added_archive_leads_out() {
    withstand(ARCHIVES);
}
