//! What commands find out about themselves where no `/proc` can be mounted: as root of this machine
//! without namespaces, and in a container with the rights that docker gives by default.

use std::fs;
use std::process::Command;

use crate::support::Feature;
use crate::support::home::Home;
use crate::support::home::succeed;
use crate::support::modes::container;
use crate::support::modes::container_of_podman;
use crate::support::require;

fn able() -> bool {
    require(&[Feature::Root, Feature::Program("busybox")])
}

fn home() -> Home {
    Home::with_arguments(&["--isolation=chroot"])
}

/// A Dockerfile whose commands are busybox's, as links to it.
fn dockerfile(lines: &str) -> String {
    format!(
        "FROM scratch\nCOPY --from=host busybox /bin/busybox\n\
         RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/bin\n{lines}"
    )
}

fn build(home: &Home, lines: &str) -> Command {
    let context = home.context(&dockerfile(lines));
    let mut build = home.build(&context);
    build.args(["--build-context", "host=/bin"]);
    build
}

fn can_contain() -> bool {
    able() && require(&[Feature::Program("podman"), Feature::Program("runc")])
}

/// The same build in a container, where no volume forbids set-user-id files.
fn contained(home: &Home, lines: &str) -> Command {
    let container = container(home, &["-e=RBUILD_ROOT=/tmp/store".to_owned()]);
    build_in(container, home, lines)
}

fn build_in(container: Command, home: &Home, lines: &str) -> Command {
    home.context(&dockerfile(lines));
    let mut build = container;
    build.args(["/rbuild", "build", "--progress=plain"]);
    build.args(["--build-context=host=/usr/bin", "/home/context"]);
    build
}

/// A command that says what it finds of itself.
const ITSELF: &str = "\
RUN echo \"<exe=$(readlink /proc/self/exe)>\" && cd /dev && echo \"<cwd=$(readlink /proc/self/cwd)>\" \
    && echo \"<root=$(readlink /proc/self/root)>\" \
    && [ \"$(readlink /proc/$$/exe)\" = /bin/busybox ] \
    && sh -c '[ \"$(realpath /proc/self/exe)\" = /bin/busybox ]' \
    && echo '<error>' > /dev/stderr && echo '<output>' > /dev/stdout \
    && echo '<input>' | cat /dev/stdin && echo '<open>' | cat /proc/self/fd/0 \
    && echo '<again>' > /file && exec 7< /file && rm /file && cat /dev/fd/7 \
    && echo \"<name=$(cat /proc/self/comm)>\" && grep -q ' /bin/busybox$' /proc/self/maps \
    && { sleep 1000 & } && read -r name < /proc/$!/comm && echo \"<other=$name>\" \
    && read -r uuid < /proc/sys/kernel/random/uuid && echo \"<uuid=${#uuid}>\"
";

const SAID: [&str; 11] = [
    "exe=/bin/busybox",
    "cwd=/dev",
    "root=/",
    "error",
    "output",
    "input",
    "open",
    "again",
    "name=",
    "other=s",
    "uuid=36",
];

fn assert_said(said: &str) {
    for word in SAID {
        assert!(said.contains(&format!(" <{word}")), "{word}: {said}");
    }
}

#[test]
fn a_command_finds_itself() {
    if able() {
        let home = home();
        assert_said(&succeed(&mut build(&home, ITSELF)).stderr);
    }
}

#[test]
fn a_command_finds_itself_in_a_container() {
    if !can_contain() {
        return;
    }
    let home = Home::new();
    let mut build = contained(&home, ITSELF);
    assert_said(&succeed(&mut build).stderr);
}

#[test]
fn who_is_not_root_keeps_the_rights_of_programs() {
    if !can_contain() {
        return;
    }
    // Without these lines busybox gives up at once what a set-user-id file gave it.
    let lines = "RUN mkdir -p /etc && echo root:x:0:0:::/bin/sh > /etc/passwd && echo root:x:0: > /etc/group \
                     && printf '[SUID]\\nid = ssx root.root\\n' > /etc/busybox.conf \
                     && mkdir /suid && cp /bin/busybox /suid/id && chmod 4755 /suid/id\n\
                 USER 1000\n\
                 RUN [ \"$(/suid/id -u)\" = 0 ] && ! readlink /proc/self/exe && echo '<raised>'\n";
    let home = Home::new();
    let said = succeed(&mut contained(&home, lines)).stderr;
    assert!(said.contains(" <raised>"), "{said}");
}

/// The same build where no device can be made.
fn deviceless(home: &Home, lines: &str) -> String {
    let container = container_of_podman(home, &["-e=RBUILD_ROOT=/tmp/store".to_owned()]);
    succeed(&mut build_in(container, home, lines)).stderr
}

#[test]
fn devices_that_cannot_be_made_are_opened() {
    if !can_contain() {
        return;
    }
    let lines = "RUN for name in urandom random; do \
                     [ $(head -c 16 /dev/$name | wc -c) = 16 ] || exit 1; \
                     [ \"$(head -c 16 /dev/$name | md5sum)\" != \"$(head -c 16 /dev/$name | md5sum)\" ] || exit 1; done\n\
                 RUN echo word > /dev/null && [ -z \"$(cat /dev/null)\" ] && [ -e /dev/urandom ] \
                     && [ $(head -c 5 /dev/zero | wc -c) = 5 ] && ! echo x > /dev/full && [ ! -e /dev/tty ] \
                     && echo '<opened>'\n\
                 RUN cd /dev && ! cat urandom && ln -s /dev/random /link && ! cat /link && rm /link && echo '<loud>'\n";
    let said = deviceless(&Home::new(), lines);
    assert!(said.contains(" <opened>"), "{said}");
    assert!(said.contains(" <loud>"), "{said}");
    assert!(!said.contains("CAP_MKNOD"), "{said}");
}

#[test]
fn who_gets_no_devices_is_told_and_finds_no_empty_ones() {
    if !can_contain() {
        return;
    }
    let lines = "USER 1000\n\
                 RUN ! head -c 16 /dev/urandom && ! cat /dev/random && ! cat /dev/zero && ! echo x > /dev/full \
                     && echo word > /dev/null && echo '<refused>'\n\
                 RUN true\n";
    let said = deviceless(&Home::new(), lines);
    assert!(said.contains(" <refused>"), "{said}");
    assert_eq!(
        said.matches("warning: there are commands without devices")
            .count(),
        1,
        "{said}"
    );
    assert!(said.contains("--cap-add MKNOD"), "{said}");
}

#[test]
fn nothing_else_is_shown() {
    if !able() {
        return;
    }
    let home = home();
    let secret = home.write("secret", "bytes of the machine\n");
    // The process that watches over the command is outside, and so is the test.
    let own = std::process::id();
    let script = format!(
        "RUN for path in /proc/1/status /proc/$PPID/comm /proc/{own}/cmdline /proc/{own}/root{secret} \
             /proc/self/root/../{secret} /proc/self/fd/0/.. /proc/self/mem /proc/kcore /proc/self/ns/net \
             /proc/self/pagemap /proc/thread-self/root/proc /proc/self/task /proc/self/fd /proc/self \
             /proc/sys /proc/sys/kernel /proc/self/map_files; \
         do if cat $path > /got 2>&1 || ls $path/ > /got 2>&1; then [ $path = /proc/sys ] || \
             [ $path = /proc/sys/kernel ] || echo \"<shown: $path>\"; fi; done; \
         for path in /proc/1/exe /proc/1/cwd /proc/$PPID/root /proc/$PPID; \
         do if readlink $path; then echo \"<shown: $path>\"; fi; done; \
         for path in /proc/sys/kernel/hostname /proc/self/oom_score_adj /proc/self/exe; \
         do if (echo x > $path) 2> /dev/null; then echo \"<written: $path>\"; fi; done; \
         mknod /pipe p && exec 5<> /pipe && (echo y > /dev/fd/5) && read -r y <&5 && echo \"<pipe $y>\"\n",
        secret = secret.display()
    );
    let said = succeed(&mut build(&home, &script)).stderr;
    assert!(!said.contains(" <shown"), "{said}");
    assert!(!said.contains(" <written"), "{said}");
    assert!(said.contains(" <pipe y>"), "{said}");
    assert_eq!(fs::read(&secret).unwrap(), b"bytes of the machine\n");
}

#[test]
fn what_was_given_to_be_read_cannot_be_written() {
    if !able() {
        return;
    }
    let home = home();
    succeed(build(&home, "").args(["--tag", "box"]));
    let given = home.write("given", "word\n");
    let mut run = home.rbuild();
    run.args(["run", "--rm", "-i", "--network=host", "box", "sh", "-c"]);
    run.arg("cat /dev/stdin; (echo other > /dev/stdin) || echo refused");
    run.stdin(fs::File::open(&given).unwrap());
    let said = succeed(&mut run).stdout;
    assert_eq!(said, "word\nrefused\n");
    assert_eq!(fs::read(&given).unwrap(), b"word\n");
}
