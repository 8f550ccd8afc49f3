//! Reaching into a sandbox's network.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;

use crate::sandbox::Error;
use crate::sandbox::Outbound;
use crate::sandbox::Running;
use crate::sys::namespace;

/// How long a server may take to accept.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a process that has no network any more may take to end.
const ENDING: Duration = Duration::from_secs(10);

/// The network of a sandbox; exists as long as this, even if the sandbox is gone.
#[derive(Debug)]
pub struct SandboxNetwork {
    namespace: File,
}

impl SandboxNetwork {
    /// Takes hold of the network that a process is on.
    pub fn of(pid: u32) -> Result<SandboxNetwork, Error> {
        let namespace = namespace::network_of(pid).map_err(Error::Network)?;
        Ok(SandboxNetwork { namespace })
    }

    /// Takes hold of the network that a sandbox is on, which is `outbound` if it joined that; none if
    /// the sandbox has ended, and what was its own with it.
    pub fn joined_by(
        running: &Running,
        outbound: Option<&Outbound>,
    ) -> Result<Option<SandboxNetwork>, Error> {
        if let Some(outbound) = outbound {
            let namespace = outbound.namespace()?;
            return Ok(Some(SandboxNetwork { namespace }));
        }
        match SandboxNetwork::of(running.pid()) {
            // A process gives up its network a moment before it has ended.
            Err(_) if running.ends_within(ENDING) => Ok(None),
            network => network.map(Some),
        }
    }

    /// Connects to a port on the sandbox's loopback interface.
    pub fn connect(&self, port: u16) -> Result<TcpStream, Error> {
        let connected = namespace::on_network(&self.namespace, || connect_here(port));
        let connected = connected.map_err(Error::Network)?;
        connected.map_err(|source| Error::Connect { port, source })
    }
}

/// A server may listen on one of the two loopback addresses only.
fn connect_here(port: u16) -> io::Result<TcpStream> {
    let first = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let second = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&first, TIMEOUT)
        .or_else(|error| TcpStream::connect_timeout(&second, TIMEOUT).map_err(|_| error))
}
