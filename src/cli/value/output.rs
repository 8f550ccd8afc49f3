//! `--output`.

use std::path::PathBuf;

use super::fields;
use crate::dockerfile::nearest;
use crate::export::ArchiveFormat;
use crate::export::Destination;
use crate::export::Folders;
use crate::export::Target;

const KEYS: [&str; 9] = [
    "type",
    "dest",
    "tar",
    "push",
    "name",
    "compression",
    "oci-mediatypes",
    "rewrite-timestamp",
    "platform-split",
];
const TYPES: [&str; 6] = ["oci", "docker", "local", "tar", "image", "registry"];

/// What one `--output` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Output {
    /// Where the image goes; none when the local store is meant, where it goes anyway.
    pub target: Option<Target>,
    /// Names besides those of `--tag`.
    pub names: Vec<String>,
}

impl Output {
    /// Says whether it writes to standard output.
    pub(in crate::cli) fn is_stdout(&self) -> bool {
        self.target.as_ref().is_some_and(Target::is_stdout)
    }
}

/// Reads a directory, `-`, or `type=…,dest=…`.
pub(in crate::cli) fn output(text: &str) -> Result<Output, String> {
    if text == "-" {
        return Ok(to(Target::Tar {
            destination: Destination::Stdout,
            folders: Folders::ForIndex,
        }));
    }
    if !text.contains('=') && !text.contains(',') && !text.is_empty() {
        return Ok(to(Target::Local {
            directory: PathBuf::from(text),
            folders: Folders::ForIndex,
        }));
    }
    let options = options(text)?;
    match options.kind.as_str() {
        "oci" if options.tar == Some(false) => Ok(to(Target::Layout {
            directory: options.directory()?,
        })),
        "oci" => Ok(to(options.archive(ArchiveFormat::Oci))),
        "docker" => Ok(to(options.archive(ArchiveFormat::Docker))),
        "local" => Ok(to(Target::Local {
            directory: options.directory()?,
            folders: options.folders,
        })),
        "tar" => Ok(to(Target::Tar {
            destination: options.destination(),
            folders: options.folders,
        })),
        "image" | "registry" => options.image(),
        "cacheonly" => Err("a build without --tag and --output leaves only its cache".to_owned()),
        "" => Err(format!("type= is missing: one of {}", TYPES.join(", "))),
        other => Err(match nearest(other, &TYPES) {
            Some(meant) => format!("unknown type {other:?}, did you mean {meant:?}?"),
            None => format!("unknown type {other:?}, known are {}", TYPES.join(", ")),
        }),
    }
}

fn to(target: Target) -> Output {
    Output {
        target: Some(target),
        names: Vec::new(),
    }
}

#[derive(Default)]
struct Options {
    kind: String,
    dest: Option<String>,
    tar: Option<bool>,
    push: Option<bool>,
    names: Vec<String>,
    folders: Folders,
}

fn options(text: &str) -> Result<Options, String> {
    let mut options = Options::default();
    for (key, value) in fields::pairs(text)? {
        match key.as_str() {
            "type" => options.kind = value,
            "dest" => options.dest = Some(value).filter(|dest| !dest.is_empty()),
            "tar" => options.tar = Some(fields::flag(&key, &value)?),
            "push" => options.push = Some(fields::flag(&key, &value)?),
            "platform-split" => {
                options.folders = match fields::flag(&key, &value)? {
                    true => Folders::Always,
                    false => Folders::Never,
                }
            }
            "name" => options.names = fields::split(&value)?,
            "compression" if value == "gzip" => {}
            "compression" => return Err(format!("compression is gzip, not {value:?}")),
            "oci-mediatypes" | "rewrite-timestamp" => always(&key, &value)?,
            _ => return Err(fields::unknown(&key, &KEYS)),
        }
    }
    options.check()?;
    Ok(options)
}

/// Takes `true` for what rbuild does in any case; see [`KEYS`].
fn always(key: &str, value: &str) -> Result<(), String> {
    if fields::flag(key, value)? {
        Ok(())
    } else {
        Err(format!("{key} cannot be turned off"))
    }
}

impl Options {
    /// Refuses keys that mean nothing for the type.
    fn check(&self) -> Result<(), String> {
        let is_image = matches!(self.kind.as_str(), "image" | "registry");
        let has_files = matches!(self.kind.as_str(), "local" | "tar");
        let misplaced = match self {
            Self { tar: Some(_), .. } if self.kind != "oci" => "tar",
            Self { push: Some(_), .. } if !is_image => "push",
            Self { dest: Some(_), .. } if is_image => "dest",
            Self { folders, .. } if *folders != Folders::ForIndex && !has_files => "platform-split",
            _ => return Ok(()),
        };
        Err(format!("{misplaced}= means nothing for type={}", self.kind))
    }

    fn destination(&self) -> Destination {
        match self.dest.as_deref() {
            None | Some("-") => Destination::Stdout,
            Some(path) => Destination::File(PathBuf::from(path)),
        }
    }

    fn directory(&self) -> Result<PathBuf, String> {
        match self.dest.as_deref() {
            None => Err("dest= is missing: the directory to write to".to_owned()),
            Some("-") => Err("a directory cannot be written to standard output".to_owned()),
            Some(path) => Ok(PathBuf::from(path)),
        }
    }

    fn archive(&self, format: ArchiveFormat) -> Target {
        Target::Archive {
            format,
            destination: self.destination(),
        }
    }

    fn image(self) -> Result<Output, String> {
        let push = self.push.unwrap_or(self.kind == "registry");
        if self.kind == "registry" && !push {
            return Err("type=registry always pushes; use type=image".to_owned());
        }
        Ok(Output {
            target: push.then_some(Target::Registry),
            names: self.names,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::output;
    use crate::export::ArchiveFormat;
    use crate::export::Destination;
    use crate::export::Folders;
    use crate::export::Target;

    fn target(text: &str) -> Option<Target> {
        output(text).unwrap().target
    }

    #[test]
    fn short_forms_are_directory_and_stdout() {
        assert_eq!(
            target("out"),
            Some(Target::Local {
                directory: PathBuf::from("out"),
                folders: Folders::ForIndex,
            })
        );
        assert_eq!(
            target("-"),
            Some(Target::Tar {
                destination: Destination::Stdout,
                folders: Folders::ForIndex,
            })
        );
    }

    #[test]
    fn platforms_are_split_or_not() {
        let local = |folders| {
            Some(Target::Local {
                directory: "d".into(),
                folders,
            })
        };
        let split = |value| target(&format!("type=local,dest=d,platform-split={value}"));
        assert_eq!(split("true"), local(Folders::Always));
        assert_eq!(split("false"), local(Folders::Never));
    }

    #[test]
    fn types_become_targets() {
        let archive = |format, destination| {
            Some(Target::Archive {
                format,
                destination,
            })
        };
        assert_eq!(
            target("type=oci,dest=x.tar"),
            archive(ArchiveFormat::Oci, Destination::File("x.tar".into()))
        );
        assert_eq!(
            target("type=docker"),
            archive(ArchiveFormat::Docker, Destination::Stdout)
        );
        assert_eq!(
            target("type=oci,tar=false,dest=d"),
            Some(Target::Layout {
                directory: "d".into()
            })
        );
        assert_eq!(target("type=image"), None);
        assert_eq!(target("type=image,push=true"), Some(Target::Registry));
        assert_eq!(target("type=registry"), Some(Target::Registry));
        let named = output(r#"type=image,"name=a,b""#).unwrap();
        assert_eq!(named.names, ["a", "b"]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (text, part) in [
            ("type=ocl", "\"oci\""),
            ("dest=x", "type= is missing"),
            ("type=local", "dest= is missing"),
            ("type=local,dest=-", "standard output"),
            ("type=oci,desk=x", "\"dest\""),
            ("type=tar,push=true", "means nothing"),
            ("type=image,dest=x", "means nothing"),
            ("type=oci,tar=maybe", "true or false"),
            ("type=oci,platform-split=true", "means nothing"),
            ("type=oci,compression=zstd", "gzip"),
            ("type=oci,dest", "KEY=VALUE"),
            ("", "KEY=VALUE"),
        ] {
            let message = output(text).unwrap_err();
            assert!(message.contains(part), "{text:?}: {message}");
        }
    }
}
