//! The template's own side: it waits for orders and copies itself.
//!
//! It has one thread, so that a copy lacks nothing, and does ahead what all its copies need.

use std::ffi::OsString;
use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::sandbox::cgroup::DeviceRule;
use crate::sandbox::cgroup::Door;
use crate::sandbox::inside;
use crate::sandbox::seccomp;
use crate::sandbox::seccomp::Filter;
use crate::sandbox::seccomp::Machine;
use crate::sandbox::template::ahead::Ahead;
use crate::sandbox::template::ahead::Failure;
use crate::sandbox::template::ahead::Kind;
use crate::sandbox::template::copying::Answer;
use crate::sys;
use crate::sys::birth;
use crate::sys::birth::Side;
use crate::sys::channel::Channel;
use crate::sys::id::Capabilities;
use crate::sys::process;

/// What the process, and each copy until it becomes its program, is called; nobody else has such a
/// name.
pub(in crate::sandbox) const NAME: &str = "rbuild: sandbox";

/// The number of the file that orders come through, after standard input, output and error.
const CHANNEL_FILE: i32 = 3;

/// The argument that says that another file comes behind it: the door to the group with the list of
/// devices that can be opened.
pub(super) const WITH_DOOR: &str = "with a list of devices";
const DOOR_FILE: i32 = 4;

/// Makes copies until nobody asks any more; the exit code is for nobody but `ps`.
pub(in crate::sandbox) fn serve(mut args: impl Iterator<Item = OsString>) -> i32 {
    let has_door = args.any(|argument| argument == WITH_DOOR);
    process::close_from(if has_door { DOOR_FILE + 1 } else { DOOR_FILE });
    let device_rule = match has_door {
        true => go_under_list(File::from(process::adopt(DOOR_FILE))),
        false => DeviceRule::Mounted,
    };
    let prepared = prepare();
    // A copy has no use for it, and has another file under its number.
    let channel = ManuallyDrop::new(Channel::from_fd(process::adopt(CHANNEL_FILE)));
    let mut filters = Filters::default();
    while let Ok(Some(message)) = channel.receive() {
        let Ok(kind) = serde_json::from_slice::<Kind>(&message.bytes) else {
            return 1;
        };
        let filter = kind.filtered.map(|capabilities| filters.of(capabilities));
        if let Err(error) = prepared {
            // If nobody listens, nobody needs to know.
            let _told = answer(&channel, &Err(error.into()), &[]);
            return 1;
        }
        let answered = match birth::copy(&kind.namespaces) {
            Ok(Side::Copy) => {
                let ahead = || Ahead::go(&kind, filter, device_rule);
                return become_sandbox(message.files, ahead);
            }
            Ok(Side::Original(child)) => answer(&channel, &Ok(()), &[child.as_fd()]),
            Err(error) => answer(&channel, &Err(error.into()), &[]),
        };
        if answered.is_err() {
            return 1;
        }
    }
    0
}

/// Has the list of devices hold for this process and all its copies. Only if that was done, mounts
/// need not forbid devices.
fn go_under_list(file: File) -> DeviceRule {
    let is_asked = true;
    match (Door { file, is_asked }).enter() {
        Ok(true) => DeviceRule::Listed,
        _ => DeviceRule::Mounted,
    }
}

/// Does what a copy inherits.
fn prepare() -> sys::Result<()> {
    process::forget_handlers();
    process::new_session()?;
    process::new_keyring()?;
    process::unprotect_from_oom()
}

fn answer(channel: &Channel, answer: &Answer, handle: &[BorrowedFd<'_>]) -> sys::Result<()> {
    let text = serde_json::to_vec(answer)
        .map_err(|error| sys::Error::new("answer an order", error.into()))?;
    channel.send(&text, handle)
}

fn become_sandbox(files: Vec<OwnedFd>, ahead: impl FnOnce() -> Result<Ahead, Failure>) -> i32 {
    // If that is not possible the outside finds out: it does not hear of this process again.
    let line = files.into_iter().next();
    let kept = line.map(|line| birth::keep_file(line, CHANNEL_FILE));
    if !matches!(kept, Some(Ok(()))) || process::signal_at_parents_end(process::KILL).is_err() {
        return 1;
    }
    inside::run(Channel::from_fd(process::adopt(CHANNEL_FILE)), ahead())
}

/// The filters that were needed so far; as a rule it is one.
#[derive(Default)]
struct Filters {
    made: Vec<(Capabilities, Rc<Filter>)>,
}

impl Filters {
    fn of(&mut self, capabilities: Capabilities) -> Rc<Filter> {
        let known = self.made.iter().find(|(of, _)| *of == capabilities);
        if let Some((_, filter)) = known {
            return Rc::clone(filter);
        }
        let filter = Rc::new(seccomp::filter(Machine::THIS, capabilities));
        self.made.push((capabilities, Rc::clone(&filter)));
        filter
    }
}
