//! Runs in the background. There is no daemon: each has a keeper, a process that does what
//! `rbuild run` does and writes down how it went.
//!
//! ```text
//! <root>/containers/<id>/state.json   what it is, and how it ended
//! <root>/containers/<id>/log          what it wrote
//! <root>/containers/<id>/log.old      what it wrote before that, if it wrote much
//! <root>/containers/<id>/lock         held by its keeper: who is killed writes nothing down
//! <root>/containers/lock              held while a name is taken
//! ```

use std::fs;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::run::Error;
use crate::run::keeper;
use crate::run::keeper::Stopping;
use crate::sandbox::Exceeded;
use crate::sandbox::ExitStatus;
use crate::sys::file::make_private_dir;

const FOLDER: &str = "containers";
const STATE: &str = "state.json";
const NAMES: &str = "lock";

/// A run in the background, as its folder tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Twelve digits that no other has.
    pub id: String,
    /// What it is called; no other is.
    pub name: String,
    /// Its image, as it was asked for.
    pub image: String,
    /// What is run: the image's command, unless another was asked for.
    pub command: Vec<String>,
    /// When it was begun, RFC 3339.
    pub created: String,
    /// Whether the program was started.
    #[serde(default)]
    pub has_started: bool,
    /// The process that keeps it, if it is in sight here.
    #[serde(skip)]
    pub keeper: Option<u32>,
    /// What its user should know of it.
    #[serde(default)]
    pub notes: Vec<String>,
    /// How the program ended, if it has and somebody was there to see it.
    pub exit_code: Option<i32>,
    /// The limit that the program ran into, if any.
    #[serde(default)]
    pub exceeded: Option<Exceeded>,
    /// Whether its keeper lives, which may be about to start the program.
    #[serde(skip)]
    pub is_running: bool,
}

/// A container in the hands of its keeper.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
    container: Container,
    lock: File,
}

impl Drop for Kept {
    fn drop(&mut self) {
        // A process that is just being started has the file open, too, until it becomes its program.
        let _ = self.lock.unlock();
    }
}

impl Container {
    /// Gives the file of what it wrote.
    #[must_use]
    pub fn log(&self, root: &Path) -> PathBuf {
        log_of(root, &self.id)
    }

    /// Makes its folder, unless its name is another's.
    ///
    /// # Errors
    /// [`Error::NameInUse`] or [`Error::Container`].
    pub fn create(&self, root: &Path) -> Result<(), Error> {
        let folder = folder_of(root, &self.id);
        make_private_dir(&root.join(FOLDER)).map_err(cannot(&folder))?;
        let _names = lock_names(root).map_err(cannot(&folder))?;
        clear(root);
        if list(root)?.iter().any(|other| other.name == self.name) {
            return Err(Error::NameInUse {
                name: self.name.clone(),
            });
        }
        fs::create_dir(&folder)
            .and_then(|()| keeper::make_lock(&folder))
            .map_err(cannot(&folder))?;
        write(&folder, self)
    }

    /// Asks its program to end; none if it has ended.
    ///
    /// # Errors
    /// [`Error::OutOfSight`] or [`Error::Signal`].
    pub fn ask_to_end(&self, root: &Path) -> Result<Option<Stopping>, Error> {
        keeper::ask_to_end(&folder_of(root, &self.id), &self.name)
    }

    /// Forgets it, with what it wrote.
    ///
    /// # Errors
    /// [`Error::ContainerRuns`] or [`Error::Container`].
    pub fn remove(&self, root: &Path) -> Result<(), Error> {
        if self.is_running {
            return Err(Error::ContainerRuns {
                name: self.name.clone(),
            });
        }
        remove(root, &self.id)
    }
}

impl Kept {
    /// Takes a container that was just created.
    ///
    /// # Errors
    /// [`Error::Container`] or [`Error::NoContainer`].
    pub fn take(root: &Path, id: &str) -> Result<Self, Error> {
        let folder = folder_of(root, id);
        let lock = keeper::become_keeper(&folder).map_err(cannot(&folder))?;
        // To look for its keeper, too, would give the lock back.
        let container = state(&folder).ok_or_else(|| Error::NoContainer {
            text: id.to_owned(),
        })?;
        Ok(Self {
            lock,
            container,
            folder,
        })
    }

    /// Notes that the program runs, and what its user should know of it.
    ///
    /// # Errors
    /// [`Error::Container`].
    pub fn started(&mut self, notes: Vec<String>) -> Result<(), Error> {
        self.container.has_started = true;
        self.container.notes = notes;
        write(&self.folder, &self.container)
    }

    /// Notes how the program ended.
    ///
    /// # Errors
    /// [`Error::Container`].
    pub fn ended(&mut self, status: ExitStatus) -> Result<(), Error> {
        self.container.exit_code = Some(status.code);
        self.container.exceeded = status.exceeded;
        write(&self.folder, &self.container)
    }

    /// Forgets it, with what it wrote: `--rm`.
    ///
    /// # Errors
    /// [`Error::Container`].
    pub fn remove(self, root: &Path) -> Result<(), Error> {
        remove(root, &self.container.id)
    }
}

/// Gives all containers, the oldest first.
///
/// # Errors
/// [`Error::Container`].
pub fn list(root: &Path) -> Result<Vec<Container>, Error> {
    let folder = root.join(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(cannot(&folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(cannot(&folder))?.path();
        // One without a whole state is being made or removed.
        found.extend(read(&path));
    }
    found.sort_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
    Ok(found)
}

/// Finds a container by its name or the beginning of its id.
///
/// # Errors
/// [`Error::NoContainer`], also if several ids begin so, and as [`list`].
pub fn find(root: &Path, text: &str) -> Result<Container, Error> {
    let all = list(root)?;
    if let Some(named) = all.iter().find(|container| container.name == text) {
        return Ok(named.clone());
    }
    let mut fitting = all
        .into_iter()
        .filter(|container| !text.is_empty() && container.id.starts_with(text));
    match (fitting.next(), fitting.next()) {
        (Some(found), None) => Ok(found),
        _ => Err(Error::NoContainer {
            text: text.to_owned(),
        }),
    }
}

/// Gives the file of what the container with this id wrote.
#[must_use]
pub fn log_of(root: &Path, id: &str) -> PathBuf {
    folder_of(root, id).join("log")
}

fn folder_of(root: &Path, id: &str) -> PathBuf {
    root.join(FOLDER).join(id)
}

/// Removes the state first, which makes the rest what [`clear`] removes. It may be gone already: a
/// keeper with `--rm` removes it, too.
fn remove(root: &Path, id: &str) -> Result<(), Error> {
    let folder = folder_of(root, id);
    let _names = lock_names(root).map_err(cannot(&folder))?;
    let removed = fs::remove_file(folder.join(STATE)).and_then(|()| fs::remove_dir_all(&folder));
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(cannot(&folder)),
    }
}

/// Removes what was left half made or half removed, by a killed process or on a full disk: while
/// names are locked, nobody makes or removes anything.
fn clear(root: &Path) {
    let entries = fs::read_dir(root.join(FOLDER)).into_iter().flatten();
    for entry in entries.flatten() {
        let folder = entry.path();
        if folder.is_dir() && matches!(folder.join(STATE).try_exists(), Ok(false)) {
            // What cannot be removed is in nobody's way.
            let _left = fs::remove_dir_all(&folder);
        }
    }
}

fn read(folder: &Path) -> Option<Container> {
    let mut container = state(folder)?;
    (container.is_running, container.keeper) = keeper::look(folder);
    Some(container)
}

fn state(folder: &Path) -> Option<Container> {
    let bytes = fs::read(folder.join(STATE)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn write(folder: &Path, container: &Container) -> Result<(), Error> {
    let text = serde_json::to_vec(container).map_err(|error| cannot(folder)(error.into()))?;
    let temporary = folder.join("new-state");
    let written = fs::write(&temporary, text);
    written
        .and_then(|()| fs::rename(&temporary, folder.join(STATE)))
        .map_err(cannot(folder))
}

fn lock_names(root: &Path) -> io::Result<File> {
    let mut options = File::options();
    let options = options.create(true).append(true);
    let file = options.open(root.join(FOLDER).join(NAMES))?;
    file.lock()?;
    Ok(file)
}

fn cannot(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Container {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Container;
    use super::Kept;
    use super::find;
    use super::list;
    use crate::run::Error;
    use crate::sandbox::Exceeded;
    use crate::sandbox::ExitStatus;

    fn container(id: &str, name: &str) -> Container {
        Container {
            id: id.to_owned(),
            name: name.to_owned(),
            image: "x".to_owned(),
            command: Vec::new(),
            created: String::new(),
            has_started: false,
            keeper: None,
            exit_code: None,
            exceeded: None,
            notes: Vec::new(),
            is_running: false,
        }
    }

    fn create(root: &Path, id: &str, name: &str) -> Result<(), Error> {
        container(id, name).create(root)
    }

    #[test]
    fn names_are_taken_once_and_ids_found_by_their_beginning() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(list(root.path()).unwrap(), []);
        create(root.path(), "ab12", "web").unwrap();
        create(root.path(), "ab34", "db").unwrap();
        let taken = create(root.path(), "cd56", "web");
        assert!(matches!(taken, Err(Error::NameInUse { .. })));
        assert_eq!(find(root.path(), "db").unwrap().id, "ab34");
        assert_eq!(find(root.path(), "ab1").unwrap().name, "web");
        for text in ["ab", "", "x"] {
            assert!(matches!(
                find(root.path(), text),
                Err(Error::NoContainer { .. })
            ));
        }
    }

    #[test]
    fn a_container_runs_as_long_as_its_keeper_holds_it() {
        let root = tempfile::tempdir().unwrap();
        create(root.path(), "ab12", "web").unwrap();
        let mut kept = Kept::take(root.path(), "ab12").unwrap();
        kept.started(vec!["a note".to_owned()]).unwrap();
        let running = find(root.path(), "web").unwrap();
        assert_eq!(running.notes, ["a note"]);
        assert!(running.is_running && running.has_started);
        let refused = running.remove(root.path());
        assert!(matches!(refused, Err(Error::ContainerRuns { .. })));
        let exceeded = Some(Exceeded::Memory(1 << 20));
        let status = ExitStatus {
            code: 7,
            signal: None,
            exceeded,
        };
        kept.ended(status).unwrap();
        drop(kept);
        let ended = find(root.path(), "web").unwrap();
        assert_eq!((ended.is_running, ended.exit_code), (false, Some(7)));
        assert_eq!(ended.exceeded, exceeded);
        ended.remove(root.path()).unwrap();
        assert_eq!(list(root.path()).unwrap(), []);
    }

    #[test]
    fn nothing_is_left_of_what_was_not_made_or_removed_to_the_end() {
        let root = tempfile::tempdir().unwrap();
        create(root.path(), "ab12", "web").unwrap();
        let folder = root.path().join("containers");
        let half = folder.join("cd34");
        std::fs::create_dir(&half).unwrap();
        std::fs::write(half.join("log"), "said").unwrap();
        create(root.path(), "ef56", "db").unwrap();
        assert!(!half.exists());
        assert_eq!(list(root.path()).unwrap().len(), 2);
        find(root.path(), "web")
            .unwrap()
            .remove(root.path())
            .unwrap();
        assert!(!folder.join("ab12").exists());
    }

    #[test]
    fn to_look_at_a_container_changes_nothing_for_others() {
        let root = tempfile::tempdir().unwrap();
        create(root.path(), "ab12", "web").unwrap();
        let lock = root.path().join("containers/ab12/lock");
        let other = std::fs::File::open(&lock).unwrap();
        other.lock_shared().unwrap();
        assert!(!find(root.path(), "web").unwrap().is_running);
        std::fs::remove_file(&lock).unwrap();
        assert!(!find(root.path(), "web").unwrap().is_running);
        assert!(!lock.exists());
    }
}
