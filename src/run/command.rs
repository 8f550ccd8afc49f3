//! What the process is: its arguments, environment, user and directory, by docker's rules.

use crate::oci::ContainerConfig;
use crate::run::Error;
use crate::run::Request;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Puts entry point and command together: what of them the user gives, and what the image's config
/// says else. Arguments replace the image's command; an entry point of the user's makes the image's
/// command meaningless too.
#[must_use]
pub fn command_of(
    image: &ContainerConfig,
    entrypoint: Option<&[String]>,
    args: &[String],
) -> Vec<String> {
    let mut command = entrypoint.unwrap_or(&image.entrypoint).to_vec();
    if !args.is_empty() {
        command.extend_from_slice(args);
    } else if entrypoint.is_none() {
        command.extend_from_slice(&image.cmd);
    }
    command
}

/// Gives what is to be run; there may be nothing.
pub(super) fn args(request: &Request) -> Result<Vec<String>, Error> {
    let image = &request.image.config.config;
    match command_of(image, request.entrypoint.as_deref(), &request.args) {
        args if args.is_empty() => Err(Error::NoCommand {
            image: request.name_of_image.familiar(),
        }),
        args => Ok(args),
    }
}

/// Puts the environment together: docker's own variables, the image's, the user's; a later one
/// takes the place of an earlier one.
pub(super) fn env(request: &Request) -> Vec<String> {
    let mut config = ContainerConfig::default();
    config.set_env("PATH", DEFAULT_PATH);
    config.set_env("HOSTNAME", &request.hostname);
    if request.streams.has_terminal() {
        config.set_env("TERM", "xterm");
    }
    for pair in &request.image.config.config.env {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        config.set_env(name, value);
    }
    for (name, value) in &request.env {
        config.set_env(name, value);
    }
    config.env
}

/// Gives the directory the process starts in.
pub(super) fn cwd(request: &Request) -> String {
    let image = &request.image.config.config.working_dir;
    match (&request.cwd, image.as_str()) {
        (Some(cwd), _) => cwd.clone(),
        (None, "") => "/".to_owned(),
        (None, image) => image.to_owned(),
    }
}

/// Gives the user the process runs as.
pub(super) fn user(request: &Request) -> String {
    let image = &request.image.config.config.user;
    request.user.clone().unwrap_or_else(|| image.clone())
}

#[cfg(test)]
mod tests {
    use super::args;
    use super::cwd;
    use super::env;
    use crate::oci::ContainerConfig;
    use crate::oci::Descriptor;
    use crate::oci::ImageConfig;
    use crate::oci::Manifest;
    use crate::oci::media_type;
    use crate::progress::Sink;
    use crate::remote::Registries;
    use crate::run::Request;
    use crate::run::RunNetwork;
    use crate::run::Streams;
    use crate::sandbox::Access;
    use crate::store::StoredImage;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn request(config: ContainerConfig) -> Request {
        let descriptor = Descriptor::of(media_type::MANIFEST, b"");
        let image = StoredImage {
            manifest: Manifest {
                schema_version: 2,
                media_type: String::new(),
                config: descriptor.clone(),
                layers: Vec::new(),
                annotations: Default::default(),
            },
            descriptor,
            config: ImageConfig {
                config,
                ..ImageConfig::default()
            },
        };
        Request {
            image,
            name_of_image: "x".parse().unwrap(),
            args: Vec::new(),
            entrypoint: None,
            env: Vec::new(),
            volumes: Vec::new(),
            cwd: None,
            user: None,
            hostname: "cafe".to_owned(),
            name: None,
            network: RunNetwork::Host,
            ports: Vec::new(),
            extra_hosts: Vec::new(),
            root_access: Access::ReadWrite,
            no_new_privileges: false,
            streams: Streams::Output,
            log: None,
            root: "/nowhere".into(),
            registries: Registries::default(),
            credential_files: Vec::new(),
            wishes: crate::sandbox::Wishes::NONE,
            limits: crate::sandbox::Limits::default(),
            bounds: crate::worker::Bounds::default(),
            patience: crate::remote::Patience::default(),
            shm_size_bytes: None,
            ulimits: Vec::new(),
            binary: "/nowhere".into(),
            sink: Sink::silent(),
        }
    }

    fn image(entrypoint: &str, cmd: &str) -> Request {
        request(ContainerConfig {
            entrypoint: words(entrypoint),
            cmd: words(cmd),
            ..ContainerConfig::default()
        })
    }

    #[test]
    fn entry_point_and_command_follow_dockers_rules() {
        let check = |request: Request, expected: &str| {
            assert_eq!(args(&request).unwrap(), words(expected));
        };
        check(image("", "cmd a"), "cmd a");
        check(image("entry", "cmd"), "entry cmd");
        let with = |mut request: Request, args: &str, entrypoint: Option<&str>| {
            request.args = words(args);
            request.entrypoint = entrypoint.map(words);
            request
        };
        check(with(image("entry", "cmd"), "x y", None), "entry x y");
        check(with(image("entry", "cmd"), "", Some("sh")), "sh");
        check(with(image("entry", "cmd"), "-c x", Some("sh")), "sh -c x");
        check(with(image("entry", "cmd"), "x", Some("")), "x");
        assert!(args(&with(image("entry", "cmd"), "", Some(""))).is_err());
        assert!(args(&image("", "")).is_err());
    }

    #[test]
    fn the_users_variables_win() {
        let mut request = request(ContainerConfig {
            env: words("PATH=/image A=1 B=2"),
            working_dir: "/srv".to_owned(),
            ..ContainerConfig::default()
        });
        request.env = vec![("B".to_owned(), "3".to_owned())];
        request.streams = Streams::Terminal;
        assert_eq!(
            env(&request),
            words("PATH=/image HOSTNAME=cafe TERM=xterm A=1 B=3")
        );
        assert_eq!(cwd(&request), "/srv");
    }
}
