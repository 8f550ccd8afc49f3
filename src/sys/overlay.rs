//! Overlay mounts with any number of layers.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::FsOpenFlags;
use rustix::mount::MountFlags;
use rustix::mount::OpenTreeFlags;

use crate::sys::Dir;
use crate::sys::Result;
use crate::sys::dir::DIRECTORY;
use crate::sys::error::Call;
use crate::sys::error::proc_path;
use crate::sys::id;
use crate::sys::mount::Attributes;
use crate::sys::mount::Mount;
use crate::sys::mount::finish;
use crate::sys::mount::set;
use crate::sys::random;

/// Directories laid over each other.
#[derive(Debug, Clone, Copy)]
pub struct Overlay<'a> {
    /// What lies below all others, if it is open already: a mount that is attached nowhere, say.
    pub ground: Option<&'a Dir>,
    /// The layers below, the bottom one first.
    pub lowers: &'a [PathBuf],
    /// Where changes go, and the kernel's scratch directory beside it, empty and on the same file
    /// system; without them the mount is read-only and needs two layers.
    pub upper: Option<(&'a Path, &'a Path)>,
    /// Options besides the directories: a key, and a value or nothing.
    pub options: &'a [(&'a str, &'a str)],
}

/// The options of a mount whose upper directory is to become a change set. What overlayfs may not do
/// would make one that is not complete by itself. `volatile` (Linux 5.10), the last, makes `fsync`
/// inside and the unmount wait for no disk: whether a change set outlives a power cut is not for the
/// program that makes it to say.
pub const CHANGE_SET_OPTIONS: [(&str, &str); 4] = [
    ("index", "off"),
    ("metacopy", "off"),
    ("redirect_dir", "off"),
    ("volatile", ""),
];

/// The longest value that `fsconfig` takes, without its NUL.
const VALUE_MAX: usize = 255;

impl Overlay<'_> {
    /// Makes the mount and attaches it at a directory.
    pub fn mount(&self, place: &Path) -> Result<Mount> {
        match self.mount_detached() {
            // This kernel cannot take the layers one by one (before 6.7), or the older call says
            // better what is wrong.
            Err(error) if error.errno() == Errno::INVAL.raw_os_error() => self.mount_at(place),
            made => {
                let made = made?;
                made.attach(Dir::open(place)?)?;
                Ok(made)
            }
        }
    }

    /// Makes the mount attached nowhere: only its handle leads there, and it is gone with the
    /// handle. A kernel that cannot take layers one by one (before 6.7) needs `place` for a moment.
    pub fn mount_apart(&self, place: &Path) -> Result<Mount> {
        match self.mount_detached() {
            Err(error) if error.errno() == Errno::INVAL.raw_os_error() => {
                let made = self.mount_at(place)?;
                made.detach()?;
                Ok(made)
            }
            made => made,
        }
    }

    /// In a user namespace, overlayfs keeps its marks in attributes that every user may set (Linux
    /// 5.11), and renames no directories: it takes no word about that.
    fn all_options(&self) -> impl Iterator<Item = (&str, &str)> {
        let marks = ("userxattr", "");
        let is_root = id::is_initial_user_namespace();
        let options = self.options.iter().copied();
        options
            .filter(move |(key, _)| is_root || *key != "redirect_dir")
            .chain((!is_root).then_some(marks))
    }

    fn mount_detached(&self) -> Result<Mount> {
        let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
            .call(|| r#"fsopen("overlay")"#.to_owned())?;
        set(&context, "source", "overlay")
            .call(|| r#"fsconfig("overlay", "source")"#.to_owned())?;
        let mut opened = Vec::new();
        for lower in self.lowers.iter().rev() {
            set_path(&context, "lowerdir+", lower, &mut opened)?;
        }
        if let Some(ground) = self.ground {
            set_path(&context, "lowerdir+", &proc_path(ground), &mut opened)?;
        }
        if let Some((upper, work)) = self.upper {
            set_path(&context, "upperdir", upper, &mut opened)?;
            set_path(&context, "workdir", work, &mut opened)?;
        }
        for (key, value) in self.all_options() {
            set(&context, key, value)
                .call(|| format!("fsconfig(\"overlay\", {key:?}, {value:?})"))?;
        }
        finish(&context, "overlay", Attributes::default())
    }

    /// One page holds all options of the old call, so the layers go by the short names that open
    /// handles have under `/proc`.
    fn mount_at(&self, place: &Path) -> Result<Mount> {
        let mut opened = Vec::new();
        let mut lowers = Vec::new();
        for lower in self.lowers.iter().rev() {
            lowers.push(short(lower, &mut opened)?);
        }
        let ground = self
            .ground
            .map(|ground| proc_path(ground).display().to_string());
        lowers.extend(ground);
        let mut data = format!("lowerdir={}", lowers.join(":"));
        if let Some((upper, work)) = self.upper {
            let (upper, work) = (short(upper, &mut opened)?, short(work, &mut opened)?);
            data.push_str(&format!(",upperdir={upper},workdir={work}"));
        }
        for (key, value) in self.all_options() {
            let equals = if value.is_empty() { "" } else { "=" };
            data.push_str(&format!(",{key}{equals}{value}"));
        }
        let text = std::ffi::CString::new(data.clone()).expect("numbers and options hold no NUL");
        rustix::mount::mount(
            "overlay",
            place,
            "overlay",
            MountFlags::empty(),
            Some(text.as_c_str()),
        )
        .call(|| format!("mount(\"overlay\", {place:?}, {data:?})"))?;
        let fd = rustix::mount::open_tree(rustix::fs::CWD, place, OpenTreeFlags::OPEN_TREE_CLOEXEC)
            .call(|| format!("open_tree({place:?})"))?;
        Ok(Mount::attached(fd))
    }
}

/// Tries to mount an overlay whose directories are below `place`; nothing is left of it.
pub fn try_below(place: &Path) -> Result<()> {
    let folder = place.join(random::name(".overlay-")?);
    let made = ["lower", "upper", "work"].map(|name| folder.join(name));
    let [lower, upper, work] = &made;
    let tried = || {
        for path in &made {
            std::fs::create_dir_all(path).call(|| format!("mkdir({path:?})"))?;
        }
        let mount = |options| {
            let overlay = Overlay {
                ground: None,
                lowers: std::slice::from_ref(lower),
                upper: Some((upper, work)),
                options,
            };
            overlay.mount_apart(lower).map(|_| ())
        };
        // Without `volatile`, the unmount waits until all that is dirty is on the disk.
        mount(CHANGE_SET_OPTIONS.as_slice()).or_else(|_| mount(&[]))
    };
    let tried = tried();
    let removed =
        Dir::open(place).and_then(|dir| dir.remove_all(folder.file_name().unwrap_or_default()));
    tried.and(removed)
}

fn set_path(context: &OwnedFd, key: &str, path: &Path, opened: &mut Vec<Dir>) -> Result<()> {
    let text = || format!("fsconfig(\"overlay\", {key:?}, {path:?})");
    if path.as_os_str().len() <= VALUE_MAX {
        return rustix::mount::fsconfig_set_string(context, key, path).call(text);
    }
    let name = short(path, opened)?;
    rustix::mount::fsconfig_set_string(context, key, name).call(text)
}

/// Opens a directory for as long as `opened` lives and gives its name under `/proc`.
fn short(path: &Path, opened: &mut Vec<Dir>) -> Result<String> {
    let fd = rustix::fs::open(path, DIRECTORY, Mode::empty())
        .call(|| format!("open({path:?}, O_DIRECTORY)"))?;
    let name = proc_path(&fd).into_os_string().into_string();
    opened.push(Dir::from_fd(fd));
    Ok(name.expect("the path is made of ASCII"))
}
