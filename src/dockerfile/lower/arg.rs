//! `ARG` in a stage.

use crate::dockerfile::Error;
use crate::dockerfile::OutlineArg;
use crate::dockerfile::check::Finding;
use crate::dockerfile::check::sounds_secret;
use crate::dockerfile::instruction::Arg;
use crate::dockerfile::instruction::Declaration;
use crate::dockerfile::lower::cursor::Cursor;
use crate::dockerfile::lower::cursor::SCAN_ARGS;

/// Declares build arguments. The value comes from `--build-arg`, or else from the default written
/// here, or else from an `ARG` before the first `FROM`. From here on it hides an `ENV` of the same
/// name, as a later `ENV` hides it.
pub(super) fn arg(cursor: &mut Cursor<'_, '_, '_>, arg: &Arg) -> Result<(), Error> {
    let mut line = "ARG".to_owned();
    for declaration in &arg.declarations {
        let name = &declaration.key.text;
        if sounds_secret(name) {
            let instruction = "ARG";
            cursor.find(Finding::SecretsUsedInArgOrEnv { instruction, name });
        }
        let value = value(cursor, declaration)?;
        line.push(' ');
        line.push_str(name);
        if let Some(value) = &value {
            line.push('=');
            line.push_str(value);
            if !SCAN_ARGS.contains(&name.as_str()) {
                cursor.state.environment.set(name, value);
            }
        }
        note(cursor, declaration, value.as_deref());
        cursor.state.declared.set(name, value);
    }
    cursor.record(line);
    Ok(())
}

/// Notes the argument for the outline. One that repeats an `ARG` from before the first `FROM` is
/// told where that stands.
fn note(cursor: &mut Cursor<'_, '_, '_>, declaration: &Declaration, value: Option<&str>) {
    let name = &declaration.key.text;
    let given = cursor.shared.globals.build_args.contains_key(name);
    let span = cursor.step.span();
    let notes = &mut cursor.state.notes;
    if !given && declaration.value.is_none() && value.is_some() {
        notes.repeated_arg(name);
        return;
    }
    notes.arg(OutlineArg {
        name: name.clone(),
        value: value.unwrap_or_default().to_owned(),
        description: declaration.comment.clone(),
        span,
    });
}

fn value(
    cursor: &mut Cursor<'_, '_, '_>,
    declaration: &Declaration,
) -> Result<Option<String>, Error> {
    let name = &declaration.key.text;
    let globals = cursor.shared.globals;
    if let Some(given) = globals.build_args.get(name) {
        return Ok(Some(given.clone()));
    }
    match &declaration.value {
        Some(default) => Ok(Some(cursor.expand(default)?)),
        None => Ok(globals.environment.get(name).map(str::to_owned)),
    }
}
