//! The programs that lead a network outside, and why one of them does not.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::io::PipeReader;
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc;

use crate::sandbox::Error;
use crate::sys;
use crate::sys::keeper;
use crate::sys::netlink::Routes;
use crate::sys::process;
use crate::sys::process::Ended;

use super::names;

/// A program that leads a network outside.
#[derive(Debug)]
pub(in crate::sandbox) struct Carrier {
    pub(in crate::sandbox) name: &'static str,
    /// How it is called; the network namespace is its open file number 3.
    pub(super) args: &'static [&'static str],
    /// What it can make of a network, in the order in which it is tried.
    pub(super) manners: &'static [Manner],
}

/// The addresses that a carrier gives a network.
#[derive(Debug)]
pub(super) struct Manner {
    /// How it is asked for.
    pub(super) args: &'static [&'static str],
    /// The first of 256 that are the network's own: others that have them are not reached from it.
    pub(super) hidden: Option<Ipv4Addr>,
    /// Where the carrier answers to name servers' clients, with the host's name servers behind it.
    pub(super) name_server: Ipv4Addr,
    /// Rewrites the host's `resolv.conf` for that.
    pub(super) rewrite: fn(&str, Ipv4Addr) -> Option<String>,
}

/// Where routes are looked for among the addresses that a network would hide: one that is for fewer
/// than this many of them may be missed.
const HIDDEN_STEP: usize = 16;

/// In the order in which they are tried: the first takes a few milliseconds, the second a few
/// tens.
pub(in crate::sandbox) const CARRIERS: [Carrier; 2] = [
    Carrier {
        name: "slirp4netns",
        args: &[
            "--configure",
            "--mtu=65520",
            "--disable-host-loopback",
            "--enable-sandbox",
            "--netns-type=path",
            "/proc/self/fd/3",
            "tap0",
        ],
        manners: &[
            Manner {
                args: &[],
                hidden: Some(Ipv4Addr::new(10, 0, 2, 0)),
                name_server: Ipv4Addr::new(10, 0, 2, 3),
                rewrite: names::through,
            },
            // For measuring networks (RFC 2544): nobody outside has one.
            Manner {
                args: &["--cidr=198.18.0.0/24"],
                hidden: Some(Ipv4Addr::new(198, 18, 0, 0)),
                name_server: Ipv4Addr::new(198, 18, 0, 3),
                rewrite: names::through,
            },
            Manner {
                args: &["--cidr=198.19.255.0/24"],
                hidden: Some(Ipv4Addr::new(198, 19, 255, 0)),
                name_server: Ipv4Addr::new(198, 19, 255, 3),
                rewrite: names::through,
            },
        ],
    },
    Carrier {
        name: "pasta",
        args: &[
            "--foreground",
            "--quiet",
            "--runas=0:0",
            "--config-net",
            "--no-map-gw",
            "--tcp-ports=none",
            "--udp-ports=none",
            "--tcp-ns=none",
            "--udp-ns=none",
            "--netns=/proc/self/fd/3",
        ],
        // Those of the host itself.
        manners: &[Manner {
            args: &["--dns-forward=169.254.1.1"],
            hidden: None,
            name_server: Ipv4Addr::new(169, 254, 1, 1),
            rewrite: names::through_first,
        }],
    },
];

/// How lines begin that say nothing about a failure: slirp4netns' steps, and that pasta finds no
/// system log.
const SAID_IN_PASSING: [&str; 3] = ["sent tapfd", "received tapfd", "Failed to send"];

/// How much of what a program says is kept: why it failed comes first.
const KEPT_BYTES: u64 = 4096;

impl Manner {
    /// Rewrites the host's `resolv.conf` so that all name servers in it are reached; nothing if it is
    /// right as it is.
    pub(super) fn resolv_conf(&self, of_host: &str) -> Option<String> {
        (self.rewrite)(of_host, self.name_server)
    }

    /// Whether the host has routes of its own to what others on the network would not reach.
    fn hides_others(&self, here: &mut Routes) -> bool {
        let first = self.hidden.map(Ipv4Addr::to_bits);
        let tried = first
            .into_iter()
            .flat_map(|it| (it..it + 256).step_by(HIDDEN_STEP));
        let mut tried = tried.map(Ipv4Addr::from_bits);
        // Of what cannot be looked up nothing is known.
        tried.any(|address| here.is_covered(address).unwrap_or(false))
    }
}

impl Carrier {
    /// Chooses the first network that hides nothing the host reaches, or the first of all.
    pub(super) fn manner(&self) -> Result<&'static Manner, Error> {
        let mut here = Routes::open().map_err(Error::Network)?;
        let fits = self.manners.iter().find(|it| !it.hides_others(&mut here));
        Ok(fits.unwrap_or(&self.manners[0]))
    }

    /// Starts the program, tells how to end it, stays until it has ended, and says why it did.
    pub(super) fn keep(
        &self,
        (path, manner): (&Path, &Manner),
        namespace: File,
        tell: &mpsc::SyncSender<OwnedFd>,
    ) -> Result<(), Error> {
        let text = |text: &str| CString::new(text).expect("the names have no NUL");
        let words = [&[self.name], manner.args, self.args].concat();
        let args: Vec<CString> = words.into_iter().map(text).collect();
        let pipe = |source| Error::Start(sys::Error::new("pipe2()", source));
        let (errors, end) = io::pipe().map_err(pipe)?;
        let child = keeper::launch_heard(end.as_fd(), path, &args, &[namespace.as_fd()]);
        // Only the program is to have them: else neither would end with it.
        drop((end, namespace));
        let child = child.map_err(Error::Start)?;
        let handle = child.pidfd().map_err(Error::Start);
        let told = handle.and_then(|handle| tell.send(handle).map_err(|_| Error::Unwanted));
        if let Err(error) = told {
            process::signal(&child, process::KILL).map_err(Error::Signal)?;
            child.wait().map_err(Error::Wait)?;
            return Err(error);
        }
        let said = listen(errors);
        let ended = child.wait().map_err(Error::Wait)?;
        Err(self.failed(reason(&said).unwrap_or_else(|| silent(ended))))
    }

    /// Makes an error of why there is no way out.
    pub(super) fn failed(&self, because: String) -> Error {
        Error::Outbound {
            program: self.name,
            because,
        }
    }
}

/// Reads all that a program and those it started say until they have ended, and keeps the lines that it
/// begins with.
fn listen(mut errors: PipeReader) -> Vec<u8> {
    let mut kept = Vec::new();
    // What cannot be read is as good as not said.
    let _read = errors.by_ref().take(KEPT_BYTES).read_to_end(&mut kept);
    let more = io::copy(&mut errors, &mut io::sink());
    if more.is_ok_and(|bytes| bytes > 0) {
        let cut_off = kept.iter().rposition(|byte| *byte == b'\n');
        kept.truncate(cut_off.unwrap_or(kept.len()));
    }
    kept
}

/// Finds the line that says why a program failed.
fn reason(said: &[u8]) -> Option<String> {
    let said = String::from_utf8_lossy(said);
    let is_reason = |line: &&str| {
        let in_passing = SAID_IN_PASSING.iter().any(|begin| line.starts_with(begin));
        !line.is_empty() && !in_passing
    };
    said.lines()
        .map(str::trim)
        .find(is_reason)
        .map(str::to_owned)
}

fn silent(ended: Ended) -> String {
    match ended {
        Ended::Exited(code) => format!("it exited with code {code}"),
        Ended::Killed(signal) => format!("signal {signal} killed it"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    /// What comes of a program that is no carrier.
    fn failure(path: &str, args: &'static [&'static str]) -> String {
        let (tell, _told) = mpsc::sync_channel(1);
        failure_with((path, args), File::open("/dev/null").unwrap(), &tell)
    }

    /// The same, of one that is handed this file and can be ended by whom this tells.
    fn failure_with(
        (path, args): (&str, &'static [&'static str]),
        namespace: File,
        tell: &mpsc::SyncSender<OwnedFd>,
    ) -> String {
        let carrier = Carrier {
            name: "carrier",
            args,
            manners: &[],
        };
        let manner = Manner {
            args: &[],
            hidden: None,
            name_server: Ipv4Addr::LOCALHOST,
            rewrite: names::through,
        };
        carrier
            .keep((Path::new(path), &manner), namespace, tell)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn the_programs_own_reason_is_told() {
        const SCRIPT: &str =
            "echo sent tapfd=5 >&2; echo no tun >&2; echo child failed >&2; exit 1";
        let said = failure("/bin/sh", &["-c", SCRIPT]);
        assert_eq!(said, "carrier leads no network outside: no tun");
    }

    #[test]
    fn a_program_that_says_too_much_or_nothing_is_no_matter() {
        const FLOOD: &str =
            "i=0; while [ $i -lt 20000 ]; do echo sent tapfd >&2; i=$((i+1)); done; exit 3";
        let said = failure("/bin/sh", &["-c", FLOOD]);
        assert_eq!(
            said,
            "carrier leads no network outside: it exited with code 3"
        );
        let said = failure("/bin/sh", &["-c", "exit 4"]);
        assert_eq!(
            said,
            "carrier leads no network outside: it exited with code 4"
        );
    }

    #[test]
    fn a_killed_program_is_told_and_has_left_nobody_behind() {
        let (handed, mut held) = io::pipe().unwrap();
        let handed = File::from(OwnedFd::from(handed));
        let (tell, told) = mpsc::sync_channel::<OwnedFd>(1);
        let kill = std::thread::spawn(move || {
            process::signal(told.recv().unwrap(), process::KILL).unwrap();
        });
        let program = ("/bin/sh", &["-c", "cat <&3 & cat <&3 & wait"][..]);
        let said = failure_with(program, handed, &tell);
        kill.join().unwrap();
        assert_eq!(said, "carrier leads no network outside: signal 9 killed it");
        let unread = held.write(b"anything");
        assert_eq!(unread.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn whom_a_program_leaves_behind_ends_with_it() {
        const SCRIPT: &str = "cat <&3 & echo no tun >&2; exit 1";
        let (handed, mut held) = io::pipe().unwrap();
        let handed = File::from(OwnedFd::from(handed));
        let (tell, told) = mpsc::sync_channel(1);
        let (alive, _told) = mpsc::sync_channel(1);
        let program = ("/bin/sh", &["-c", SCRIPT][..]);
        let fail = move || tell.send(failure_with(program, handed, &alive));
        let thread = std::thread::spawn(fail);
        let said = told.recv_timeout(Duration::from_secs(60));
        let unread = held.write(b"anything");
        drop(held);
        thread.join().unwrap().unwrap();
        assert_eq!(said.unwrap(), "carrier leads no network outside: no tun");
        // Nobody is there who could.
        assert_eq!(unread.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_program_does_not_ignore_broken_pipes_as_this_process_does() {
        let said = failure("/bin/sh", &["-c", "grep SigIgn /proc/self/status >&2"]);
        let mask = said.rsplit(char::is_whitespace).next().unwrap();
        let mask = u64::from_str_radix(mask, 16).unwrap();
        // SIGPIPE is number 13, and the first number is 1.
        assert_eq!(mask & (1 << 12), 0, "{said}");
    }

    #[test]
    fn a_program_that_cannot_be_started_is_told() {
        assert!(failure("/dev/null", &[]).contains("cannot start"));
    }
}
