//! `WORKDIR`.

use crate::dockerfile::Error;
use crate::dockerfile::Lexing;
use crate::dockerfile::check::Finding;
use crate::dockerfile::instruction::Workdir;
use crate::dockerfile::lower::cursor::Cursor;
use crate::dockerfile::lower::paths;
use crate::graph::MkdirOp;
use crate::graph::Op;
use crate::graph::clean_path;

/// Changes the directory and makes it, unless it is the root.
pub(super) fn workdir(cursor: &mut Cursor<'_, '_, '_>, workdir: &Workdir) -> Result<(), Error> {
    let path = cursor.expand(&workdir.path)?;
    // A base's own directory is nothing to rely on; what is relative to this one is not said twice.
    let is_first = !std::mem::replace(&mut cursor.state.has_workdir, true);
    if is_first && !path.starts_with('/') {
        cursor.find(Finding::WorkdirRelativePath { path: &path });
    }
    let directory = paths::join(&cursor.state.config.config.working_dir, &path);
    cursor.shared.charge(directory.len(), cursor.step.span())?;
    let line = format!("WORKDIR {directory}");
    cursor.state.cwd.clone_from(&directory);
    cursor
        .state
        .config
        .config
        .working_dir
        .clone_from(&directory);
    if directory == "/" {
        cursor.record(line);
        return Ok(());
    }
    let owner = cursor.state.config.config.user.clone();
    let root = Some(cursor.state.root);
    cursor.check_owner(&owner, cursor.step.span(), root);
    let lexing = Lexing::words(cursor.shared.escape);
    let shown = cursor.line(&cursor.step.statement.source.text, lexing);
    let title = cursor.title(&shown);
    let op = MkdirOp {
        path: clean_path(&directory),
        owner,
    };
    cursor.change(Op::Mkdir(op), title, &[]);
    cursor.record_layer(line);
    Ok(())
}
