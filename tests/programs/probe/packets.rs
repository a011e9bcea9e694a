//! Ways for a packet to get out.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Duration;

use crate::{Outcome, must_fail, sys};

/// Sends a word to `tcp:ADDRESS`, `udp:ADDRESS`, `unix:PATH` or `abstract:NAME`.
pub(crate) fn sends(place: &str) -> Outcome {
    let (family, address) = place.split_once(':').expect("is FAMILY:ADDRESS");
    must_fail("sent", send(family, address))
}

fn send(family: &str, address: &str) -> io::Result<()> {
    let mut stream: Box<dyn Write> = match family {
        "tcp" => {
            let address = address.parse().expect("is an address");
            Box::new(TcpStream::connect_timeout(
                &address,
                Duration::from_secs(2),
            )?)
        }
        "udp" => {
            let any = if address.starts_with('[') {
                "[::]:0"
            } else {
                "0.0.0.0:0"
            };
            return UdpSocket::bind(any)?.send_to(b"probe", address).map(|_| ());
        }
        "unix" => Box::new(UnixStream::connect(address)?),
        "abstract" => {
            let address = SocketAddr::from_abstract_name(address)?;
            Box::new(UnixStream::connect_addr(&address)?)
        }
        family => panic!("unknown family {family}"),
    };
    stream.write_all(b"probe")
}

/// Opens a socket of `FAMILY,TYPE,PROTOCOL`.
pub(crate) fn socket(numbers: &str) -> Outcome {
    let numbers: Vec<usize> = numbers
        .split(',')
        .map(|number| number.parse().expect("is a number"))
        .collect();
    let [family, kind, protocol] = numbers[..] else {
        panic!("three numbers")
    };
    must_fail(
        "socket",
        sys::call(libc::SYS_socket, [family, kind, protocol]),
    )
}

/// Asks for the address of a name.
pub(crate) fn resolves(name: &str) -> Outcome {
    must_fail("resolved", (name, 80).to_socket_addrs())
}

/// Changes a network interface, which begins with the right to.
pub(crate) fn interface() -> Outcome {
    let change = || {
        let socket = sys::call(
            libc::SYS_socket,
            [libc::AF_INET as usize, libc::SOCK_DGRAM as usize, 0],
        )?;
        // SAFETY: the call has just opened it.
        let socket = unsafe { OwnedFd::from_raw_fd(socket as i32) };
        // `struct ifreq`: a name of 16 bytes, then the flags.
        let mut request = [0_u8; 40];
        request[..2].copy_from_slice(b"lo");
        let at = request.as_mut_ptr() as usize;
        let file = socket.as_raw_fd() as usize;
        sys::call(libc::SYS_ioctl, [file, libc::SIOCGIFFLAGS as usize, at])?;
        // Set to what it is.
        sys::call(libc::SYS_ioctl, [file, libc::SIOCSIFFLAGS as usize, at])
    };
    must_fail("changed", change())
}

/// What tests of servers do: both ends in the sandbox.
pub(crate) fn loopback() -> Outcome {
    let talk = |address: &str| -> io::Result<()> {
        let listener = TcpListener::bind(address)?;
        let mut from = TcpStream::connect(listener.local_addr()?)?;
        let (mut to, _) = listener.accept()?;
        from.write_all(b"probe")?;
        to.read_exact(&mut [0; 5])
    };
    match talk("127.0.0.1:0") {
        Ok(()) => Outcome::Works("both ends inside".to_owned()),
        Err(error) => Outcome::Held(error.to_string()),
    }
}
