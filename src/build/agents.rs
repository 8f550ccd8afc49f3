//! `--ssh`: the agents that commands and git may use.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use crate::build::Error;
use crate::build::Request;
use crate::build::local::Local;
use crate::snapshot::Active;
use crate::snapshot::Stack;
use crate::worker::KeyAgent;

/// The agents of one build; those that were started end with it.
#[derive(Debug, Default)]
pub(super) struct Agents {
    /// Sockets by id.
    pub(super) sockets: BTreeMap<String, PathBuf>,
    started: Vec<(KeyAgent, Active)>,
}

impl Agents {
    /// Takes sockets as they are, and starts an agent for each id that names key files.
    pub(super) fn open(request: &Request, local: &Local) -> Result<Self, Error> {
        let mut agents = Self::default();
        for (id, paths) in &request.ssh {
            match paths.as_slice() {
                [path] if is_socket(path) => {
                    agents.sockets.insert(id.clone(), path.clone());
                }
                keys => agents.start(id, keys, local)?,
            }
        }
        Ok(agents)
    }

    fn start(&mut self, id: &str, keys: &[PathBuf], local: &Local) -> Result<(), Error> {
        let active = local
            .snapshots
            .prepare(&[])
            .map_err(|source| Error::Snapshots { source })?;
        let (Stack::Overlay { upper, .. } | Stack::Directory(upper)) = active.stack();
        let agent = KeyAgent::start(keys, upper).map_err(|source| Error::Agent {
            id: id.to_owned(),
            source,
        })?;
        self.sockets
            .insert(id.to_owned(), agent.socket().to_owned());
        self.started.push((agent, active));
        Ok(())
    }
}

fn is_socket(path: &PathBuf) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}
