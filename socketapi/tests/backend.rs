//! The choice between the userland stack and the kernel's SCTP.

use socketapi::{Backend, Error, SctpSocket, SocketBuilder};

fn bind(backend: Backend) -> Result<SctpSocket, Error> {
    SocketBuilder::new().backend(backend).bind_blocking("127.88.1.1:0")
}

#[cfg(feature = "kernel")]
#[test]
fn a_kernel_without_sctp_is_told_with_advice() {
    match bind(Backend::Kernel) {
        // This one has it.
        Ok(socket) => assert_ne!(socket.local_addr().unwrap().port(), 0),
        Err(error) => {
            assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
            let text = error.to_string();
            assert!(
                text.contains("this kernel has no SCTP") && text.contains("modprobe sctp"),
                "{text}"
            );
        }
    }
}

#[cfg(not(feature = "kernel"))]
#[test]
fn a_backend_that_is_not_there_is_refused() {
    let refused = bind(Backend::Kernel);
    assert!(matches!(refused, Err(Error::Unsupported(_))), "{refused:?}");
}

#[cfg(not(feature = "userland"))]
#[test]
fn a_backend_that_is_not_there_is_refused() {
    let refused = bind(Backend::Userland);
    assert!(matches!(refused, Err(Error::Unsupported(_))), "{refused:?}");
}

/// Whatever the environment says.
#[cfg(feature = "userland")]
#[tokio::test]
async fn a_builder_with_a_stack_stays_with_it() {
    let stack = socketapi::StackHandle::builder();
    let stack = stack.addresses(["127.88.1.2".parse().unwrap()]).udp_port(0);
    let stack = stack.start().await.unwrap();
    let socket = SocketBuilder::new().stack(&stack).bind("127.88.1.2:7").await.unwrap();
    // The stack has the port now.
    let again = SctpSocket::bind_on(&stack, 7);
    assert_eq!(again.map(drop), Err(Error::PortInUse));
    drop(socket);
}
