//! Finding the program and becoming it.

use std::ffi::CString;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use crate::sandbox::inside::report::Problem;
use crate::sandbox::inside::user::Identity;
use crate::sandbox::spec::Spec;
use crate::sys::Error;
use crate::sys::file;
use crate::sys::process;

/// Where a program is looked for if the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How often and how long a program that is being written is waited for.
///
/// A file just written may still be open in another sandbox's process that was started meanwhile
/// and has not come to closing what it does not need.
const BUSY_MAX: usize = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(2);

/// Becomes the program of the spec; returns only if that failed.
pub(super) fn execute(spec: &Spec, env: &[CString]) -> Problem {
    let Some(name) = spec.args.first() else {
        return Problem::ProgramNotFound {
            program: String::new(),
        };
    };
    let args = match texts(&spec.args) {
        Ok(args) => args,
        Err(problem) => return problem,
    };
    let path = match find(name, spec.variable("PATH").unwrap_or(DEFAULT_PATH)) {
        Ok(path) => path,
        Err(error) => return problem(name, &error),
    };
    let mut error = process::execute(&path, &args, env);
    for _ in 0..BUSY_MAX {
        if error.kind() != io::ErrorKind::ExecutableFileBusy {
            break;
        }
        std::thread::sleep(BUSY_PAUSE);
        error = process::execute(&path, &args, env);
    }
    problem(name, &error)
}

/// The environment of the spec, with the user's home.
pub(super) fn environment(spec: &Spec, identity: &Identity) -> Result<Vec<CString>, Problem> {
    let mut env = spec.env.clone();
    if spec.variable("HOME").is_none_or(str::is_empty) {
        env.retain(|entry| !entry.starts_with("HOME="));
        env.push(format!("HOME={}", identity.home));
    }
    texts(&env)
}

/// Finds a program as the shell does: by its path if it has a `/`, else in the directories of
/// `PATH`, of which an empty one is the current directory.
fn find(name: &str, path: &str) -> Result<PathBuf, Error> {
    if name.contains('/') {
        file::may_execute(Path::new(name))?;
        return Ok(PathBuf::from(name));
    }
    let mut best = None;
    for folder in path.split(':') {
        let folder = if folder.is_empty() { "." } else { folder };
        let candidate = Path::new(folder).join(name);
        match file::may_execute(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) => best = Some(error),
        }
    }
    // What was found and is no program does not count, as in Docker: the answer is "not found".
    let call = best.map_or_else(|| "access()".to_owned(), |error| error.call().to_owned());
    Err(Error::new(call, io::ErrorKind::NotFound.into()))
}

/// Finds a program of the host by this process's `PATH`, or else in the usual places, which are not
/// on every user's.
#[must_use]
pub fn find_here(name: &str) -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "only there it is said where this machine has its programs"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_on(name, &path.to_string_lossy())
}

fn find_on(name: &str, path: &str) -> Option<PathBuf> {
    // What lies in the folder where rbuild happens to be started is not the machine's.
    let folders = path.split(':').chain(DEFAULT_PATH.split(':'));
    let mut places = folders.filter(|folder| folder.starts_with('/'));
    places.find_map(|folder| find(name, folder).ok())
}

fn problem(name: &str, error: &Error) -> Problem {
    let program = name.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Problem::ProgramNotFound { program }
        }
        _ => Problem::ProgramNotExecutable {
            program,
            errno: error.errno(),
        },
    }
}

/// Gives texts the form in which the kernel takes them.
fn texts(texts: &[String]) -> Result<Vec<CString>, Problem> {
    let with_nul = |text: &String| Problem::UnknownName { name: text.clone() };
    texts
        .iter()
        .map(|text| CString::new(text.as_str()).map_err(|_| with_nul(text)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_program_of_the_host_is_found_by_path_and_in_the_usual_places() {
        let home = tempfile::tempdir().unwrap();
        let here = home.path().join("sh");
        fs::write(&here, "").unwrap();
        let path = format!("relative::{}:/nowhere", home.path().display());
        let usual = find_on("sh", "").unwrap();
        assert_ne!(usual, here);
        // It is no program yet.
        assert_eq!(find_on("sh", &path), Some(usual));
        fs::set_permissions(&here, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_on("sh", &path), Some(here));
        assert_eq!(find_on("no such program", &path), None);
    }
}
