//! An echo server: `echo [ADDRESS:PORT]`, by default on all addresses and port 7.
//!
//! It speaks SCTP in UDP on port 9899, or on what the environment variable `SCTP_UDP_PORT` says, until it is
//! interrupted.

use std::env;

use socketapi::{Error, Received, SctpSocket};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let address = env::args().nth(1).unwrap_or_else(|| "[::]:7".to_owned());
    let socket = SctpSocket::bind(address).await?;
    socket.listen(128)?;
    println!("listening on {:?}", socket.local_addresses()?);
    loop {
        match socket.recv().await? {
            Received::Data { payload, info } => {
                // The association may have ended since the message came; the others go on.
                if let Err(error) = socket.send(payload, &info.reply()).await {
                    eprintln!("{:?}: {error}", info.assoc);
                }
            }
            Received::Notification(event) => println!("{event:?}"),
        }
    }
}
