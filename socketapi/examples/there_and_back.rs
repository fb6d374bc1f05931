//! Both ends in one program: `there_and_back [--device DEVICE] [--backend BACKEND]` sends messages to itself and back,
//! and looks whether they are the same.
//!
//! DEVICE is `udp`, `raw`, `memory` or for instance `tun:sctp0,10.9.0.1/24,10.9.0.2`; BACKEND is `userland`, or
//! `kernel` if that was built in (`--features kernel`) and the kernel has SCTP.

use std::env;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use socketapi::{Backend, DeviceConfig, SctpListener, SndInfo, SocketBuilder, StackHandle};

const COUNT: usize = 1000;
const SIZE: usize = 10_000;
/// How long the goodbye may take.
const LINGER: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(env::args().skip(1)).await {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("there_and_back: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does it; what the program says in the end.
pub(crate) async fn run(mut options: impl Iterator<Item = String>) -> Result<String, Box<dyn Error>> {
    let (mut device, mut backend) = (DeviceConfig::from_environment()?, Backend::from_environment()?);
    while let Some(option) = options.next() {
        match (option.as_str(), options.next()) {
            ("--device", Some(text)) => device = text.parse()?,
            ("--backend", Some(text)) => backend = text.parse()?,
            _ => return Err("usage: there_and_back [--device DEVICE] [--backend BACKEND]".into()),
        }
    }
    // This is all that depends on the choice.
    let stack = match backend {
        Backend::Userland => Some(StackHandle::builder().device(device).start().await?),
        _ => None,
    };
    let (builder, address, carrier) = match &stack {
        Some(stack) => {
            let addresses = stack.addresses();
            let address = addresses
                .iter()
                .find(|address| address.is_loopback())
                .or_else(|| addresses.first());
            let address = *address.ok_or("no address")?;
            (
                SocketBuilder::new().stack(stack),
                address,
                format!("device {}", stack.device()),
            )
        }
        None => {
            let address = IpAddr::from(Ipv4Addr::LOCALHOST);
            (SocketBuilder::new().backend(backend), address, format!("the {backend}"))
        }
    };

    let listener = builder.clone().listen((address, 0), 1).await?;
    let at = listener.local_addr()?;
    let echo = tokio::spawn(echo(listener));
    let stream = builder.connect(at).await?;
    let message = |number: usize| Bytes::from(number.to_be_bytes().repeat(SIZE / size_of::<usize>()));
    let sending = async {
        for number in 0..COUNT {
            stream.send(message(number), &SndInfo::new()).await?;
        }
        Ok::<(), socketapi::Error>(())
    };
    let receiving = async {
        for number in 0..COUNT {
            let reply = stream.recv().await?;
            if reply.is_none_or(|reply| reply.payload != message(number)) {
                return Err(socketapi::Error::Closed);
            }
        }
        Ok(())
    };
    let (sent, received) = tokio::join!(sending, receiving);
    sent?;
    received?;
    stream.shutdown()?;
    while stream.recv().await?.is_some() {}
    echo.await??;
    drop(stream);
    if let Some(stack) = stack {
        stack.shutdown_graceful(LINGER).await?;
    }
    Ok(format!("{COUNT} messages there and back over {carrier}"))
}

/// The other end.
async fn echo(listener: SctpListener) -> socketapi::Result<()> {
    let (stream, _) = listener.accept().await?;
    while let Some(message) = stream.recv().await? {
        stream.send(message.payload, &message.info.reply()).await?;
    }
    stream.shutdown()
}
