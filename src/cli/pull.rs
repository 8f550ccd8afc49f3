//! `rbuild pull` and `rbuild push`.

use super::arguments::Home;
use super::config;
use super::environment::Environment;
use super::error::Error;
use super::print;
use super::progress::Display;
use super::progress::ProgressArguments;
use super::request::new_name;
use super::runtime::block_on;
use crate::manage;
use crate::manage::Which;
use crate::oci::Digest;
use crate::oci::Platform;
use crate::oci::Reference;
use crate::progress::Sink;
use crate::progress::Step;
use crate::remote;
use crate::remote::Client;
use crate::remote::Retry;
use crate::store::Store;

/// What `rbuild pull` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rbuild pull debian:bookworm
  rbuild pull --platform linux/amd64,linux/arm64 alpine")]
pub(super) struct PullArguments {
    /// The images.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// The platforms [default: this machine's].
    #[arg(long = "platform", value_name = "PLATFORM,…", value_delimiter = ',')]
    pub platforms: Vec<Platform>,
    #[command(flatten)]
    progress: ProgressArguments,
}

/// Brings images into the store and prints their digests.
pub(super) fn pull(
    arguments: &PullArguments,
    home: &Home,
    environment: &Environment,
) -> Result<(), Error> {
    let mut platforms = arguments.platforms.clone();
    if platforms.is_empty() {
        platforms.push(Platform::host());
    }
    let asked = (platforms.as_slice(), remote::Pull::Always);
    for text in &arguments.names {
        let display = arguments.progress.display(environment)?;
        let digest = fetch(text, asked, (home, environment, &display));
        drop(display);
        print::line(&digest?.to_string())?;
    }
    Ok(())
}

/// Brings one image into the store, for each of the platforms.
pub(super) fn fetch(
    text: &str,
    (platforms, pull): (&[Platform], remote::Pull),
    (home, environment, display): (&Home, &Environment, &Display),
) -> Result<Digest, Error> {
    let name: Reference = text.parse().map_err(|source| Error::Tag {
        text: text.to_owned(),
        source,
    })?;
    let step = display.sink().step(&format!("pull {name}"));
    let client = client(home, environment, display.sink())?;
    watched(&step, || {
        let pulled = block_on(manage::pull(&client, (&name, pull), platforms, &step))?;
        Ok(pulled?.expect("there is a platform"))
    })
}

/// What `rbuild push` is told.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  rbuild push ghcr.io/me/app:v1
  rbuild push app:v1 registry.example.com/app:v1
  rbuild push -q app:v1 localhost:5000/app    print nothing but the digest

Credentials are those of `docker login` ($DOCKER_CONFIG/config.json, ~/.docker/config.json) or of
`podman login`; how to reach a registry is in the configuration file.")]
pub(super) struct PushArguments {
    /// The image: a name, a digest, or the beginning of an id.
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The name to push it under [default: IMAGE].
    #[arg(value_name = "DEST")]
    pub destination: Option<String>,
    #[command(flatten)]
    progress: ProgressArguments,
}

/// Sends an image to its registry and prints its digest there.
pub(super) fn push(
    arguments: &PushArguments,
    home: &Home,
    environment: &Environment,
) -> Result<(), Error> {
    let root = home.root(environment);
    let host = Platform::host();
    let found = manage::find(&root, &arguments.image, Which::Preferably(&host))?;
    let name = match &arguments.destination {
        Some(text) => new_name(text)?,
        None => {
            let name = new_name(&arguments.image).ok();
            let own = name.filter(|name| found.names.contains(name));
            own.ok_or(Error::Needs {
                flag: "an image without this name",
                needed: "a name to push it under: rbuild push IMAGE DEST",
            })?
        }
    };
    let display = arguments.progress.display(environment)?;
    let client = client(home, environment, display.sink())?;
    let step = display.sink().step(&format!("push {name}"));
    let digest = watched(&step, || {
        let store = Store::open(&root).map_err(manage::Error::from)?;
        let pushed = block_on(manage::push(&client, (&store, &found), &name, &step))?;
        pushed.map_err(Error::from)
    });
    drop(display);
    print::line(&digest?.to_string())
}

/// Tells the step's beginning and end.
fn watched(step: &Step, work: impl FnOnce() -> Result<Digest, Error>) -> Result<Digest, Error> {
    step.started();
    let result = work();
    match &result {
        Ok(_) => step.done(),
        Err(error) => step.failed(error.to_string()),
    }
    result
}

/// Makes the way to the registries.
fn client(home: &Home, environment: &Environment, sink: Sink) -> Result<Client, Error> {
    let config = config::read(home, environment)?;
    let store = Store::open(&home.root(environment)).map_err(manage::Error::from)?;
    let patience = config.limits.patience();
    Ok(Client::new(remote::Options {
        store,
        registries: config.registries,
        credential_files: environment.credential_files(),
        certificate_folders: remote::usual_certificate_folders(),
        retry: Retry::usual().within(patience),
        manifest_bytes: patience.manifest_bytes,
        sink,
    }))
}
