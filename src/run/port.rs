//! `--publish`: connections to a port of the host are carried to a port of the process.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::run::Error;
use crate::run::Port;
use crate::sandbox::SandboxNetwork;

/// How many connections are carried at a time; more wait.
const CONNECTIONS: usize = 1024;

/// How long to wait after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// A port that is listened on, and where its connections go.
#[derive(Debug)]
pub(super) struct Listener {
    listener: TcpListener,
    inside: u16,
}

/// Takes the ports of the host, before anything is started that would need them.
pub(super) async fn listen(ports: &[Port]) -> Result<Vec<Listener>, Error> {
    let mut listeners = Vec::new();
    for port in ports {
        let address = SocketAddr::new(port.address, port.host);
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| Error::Listen { address, source })?;
        listeners.push(Listener {
            listener,
            inside: port.inside,
        });
    }
    Ok(listeners)
}

/// Carries connections from now on, until the runtime ends.
pub(super) fn forward(listeners: Vec<Listener>, network: &Arc<SandboxNetwork>) {
    let allowed = Arc::new(Semaphore::new(CONNECTIONS));
    for Listener { listener, inside } in listeners {
        let (network, allowed) = (Arc::clone(network), Arc::clone(&allowed));
        tokio::spawn(async move {
            loop {
                let permit = Arc::clone(&allowed).acquire_owned().await;
                // A connection that breaks off before it is accepted is not the next one's fault;
                // where no more files may be open, one is closed sooner or later.
                let Ok((outer, _)) = listener.accept().await else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let network = Arc::clone(&network);
                tokio::spawn(async move {
                    let _permit = permit;
                    // Both ends see the connection closed; there is nobody else to tell.
                    let _ = carry(outer, network, inside).await;
                });
            }
        });
    }
}

async fn carry(mut outer: TcpStream, network: Arc<SandboxNetwork>, port: u16) -> io::Result<()> {
    let connected = tokio::task::spawn_blocking(move || network.connect(port)).await;
    let inner = connected
        .map_err(io::Error::other)?
        .map_err(io::Error::other)?;
    inner.set_nonblocking(true)?;
    let mut inner = TcpStream::from_std(inner)?;
    copy_bidirectional(&mut outer, &mut inner).await?;
    Ok(())
}
