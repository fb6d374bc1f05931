//! One socket, many peers: `one_to_many ADDRESS:PORT...` greets each peer, shows what comes back, and says goodbye.
//!
//! The example `echo` makes a good peer. `SCTP_BACKEND` chooses the kernel's SCTP or that of this process, and
//! `SCTP_DEVICE` what carries the packets of the latter: by default UDP port 9899, which programs of one host share.

use std::env;
use std::net::SocketAddr;
use std::time::Duration;

use socketapi::{AssociationChange, AssociationState, Error, Notification, Received, SctpSocket, SndInfo};

/// How long peers have for their goodbye.
const LINGER: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let peers = env::args()
        .skip(1)
        .map(|text| text.parse())
        .collect::<Result<Vec<SocketAddr>, _>>()?;
    if peers.is_empty() {
        return Err("usage: one_to_many ADDRESS:PORT...".into());
    }
    let socket = SctpSocket::bind("[::]:0").await?;
    for peer in &peers {
        // Sets the association up, too.
        socket
            .send(format!("hello, {peer}"), &SndInfo::to_address(*peer))
            .await?;
    }
    let mut left = peers.len();
    while left > 0 {
        match socket.recv().await? {
            Received::Data { payload, info } => {
                println!("{:?}: {}", info.assoc, String::from_utf8_lossy(&payload));
                match socket.shutdown(info.assoc) {
                    Ok(()) | Err(Error::AssociationGone) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Received::Notification(Notification::AssociationChange(AssociationChange { peer, state, .. })) => {
                println!("{peer}: {state:?}");
                if !matches!(state, AssociationState::Up { .. } | AssociationState::Restarted { .. }) {
                    left -= 1;
                }
            }
            Received::Notification(event) => println!("{event:?}"),
        }
    }
    socket.options().set_linger(Some(LINGER))?;
    socket.close().await?;
    Ok(())
}
