//! The outside: starting a sandbox.

use std::fs::File;

use crate::sandbox::Error;
use crate::sandbox::apart;
use crate::sandbox::life::Around;
use crate::sandbox::life::Life;
use crate::sandbox::running::Running;
use crate::sandbox::spec::Spec;
use crate::sandbox::stdio::Files;
use crate::sandbox::stdio::Input;
use crate::sandbox::stdio::Output;
use crate::sandbox::template::Template;
use crate::sandbox::template::ahead::Kind;
use crate::sandbox::template::order::Order;

/// What is not part of the sandbox but of how it is started.
#[derive(Debug, Clone)]
pub struct SpawnOptions {
    /// What the sandbox is copied from.
    pub template: Template,
    /// Where the process reads from.
    pub input: Input,
    /// Where the process writes to.
    pub output: Output,
}

/// The path by which a process reaches its own binary.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// Starts a sandbox and returns when its program was executed or could not be.
pub fn spawn(spec: &Spec, options: &SpawnOptions) -> Result<Running, Error> {
    apart::check(spec)?;
    let files = Files::new(spec, options)?;
    let kind = Kind::of(spec)?;
    let around = Around::new(spec, options.template.devices())?;
    let order = around.bounds();
    let order = order.and_then(|bounds| Order::new(spec, files.inner, bounds));
    let made = order.and_then(|order| Ok((order, options.template.copy(&kind)?)));
    let (order, (copy, channel)) = match made {
        Ok(made) => made,
        Err(error) => {
            around.clear()?;
            return Err(error);
        }
    };
    let mut life = Life::new(copy, &spec.isolation, around);
    let terminal = life.begin(&channel, &order)?;
    Ok(Running {
        stdin: files.stdin,
        stdout: files.stdout,
        stderr: files.stderr,
        terminal: terminal.map(File::from),
        notes: life.notes(),
        life,
    })
}
