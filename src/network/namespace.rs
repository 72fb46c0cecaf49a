//! Network namespaces without a name, and the device of a path in each.
//!
//! A namespace lives as long as a process in it, a descriptor of it or a socket in it. There is
//! none in the file system, and the devices are not persistent: however a run ends, the kernel
//! takes everything away.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use serde::{Deserialize, Serialize};
use tun_rs::{DeviceBuilder, SyncDevice};

/// The device of a path, in every namespace.
pub const DEVICE: &str = "path";

/// The largest packet on a path: that of Ethernet.
pub const MTU: u16 = 1_500;

/// Packets that the kernel holds for a router that is busy: more than any window of TCP has.
const DEVICE_QUEUE: u32 = 10_000;

/// The prefix of all addresses: a part of the block for tests of network devices (RFC 2544, RFC
/// 6890), which no public network uses.
pub const PREFIX: u8 = 24;

/// The address of the source's end, or of the subscribers' end of a path, counted from zero.
#[must_use]
pub fn address(path: Option<u8>) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 0, path.map_or(1, |path| 2 + path))
}

/// Where one side of a path lives, for a worker that is to enter it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The namespace, as a file of the process that holds it.
    pub namespace: PathBuf,
    /// The address of this side.
    pub address: IpAddr,
}

/// One side of a path: a namespace and the device in it.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) namespace: File,
    address: Ipv4Addr,
    /// The kernel's counters of the namespace's devices.
    counters: File,
}

impl Side {
    /// Where it lives; good as long as this process holds it.
    pub(crate) fn end(&self) -> End {
        let (process, descriptor) = (std::process::id(), self.namespace.as_raw_fd());
        let namespace = PathBuf::from(format!("/proc/{process}/fd/{descriptor}"));
        End { namespace, address: self.address.into() }
    }

    /// Packets that the kernel had for the device and that nobody took in time.
    pub(crate) fn overrun(&mut self) -> io::Result<u64> {
        let mut text = String::new();
        self.counters.rewind()?;
        self.counters.read_to_string(&mut text)?;
        let prefix = format!("{DEVICE}:");
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(&prefix));
        // Eight columns of what was received, then bytes, packets, errors and drops of what was sent.
        let dropped = line.and_then(|line| line.split_whitespace().nth(11)?.parse().ok());
        dropped.ok_or_else(|| io::Error::other("the device of a path is not among the kernel's"))
    }
}

/// A device whose packets this process carries. Neither reading nor writing waits.
pub(crate) struct Tunnel(SyncDevice);

impl Tunnel {
    /// Takes a packet that the kernel sends; its length.
    pub(crate) fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }

    /// Has the kernel receive a packet.
    pub(crate) fn send(&self, packet: &[u8]) -> io::Result<usize> {
        self.0.send(packet)
    }
}

impl AsFd for Tunnel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}

/// A new namespace with a device whose packets this process carries.
///
/// # Errors
///
/// When the process may not make namespaces or devices, or the kernel has none.
pub(crate) fn with_tunnel(address: Ipv4Addr) -> io::Result<(Side, Tunnel)> {
    in_a_new_one(move || {
        let device = DeviceBuilder::new()
            .name(DEVICE)
            .mtu(MTU)
            .ipv4(address, PREFIX, None)
            .with(|options| {
                options.tx_queue_len(DEVICE_QUEUE);
            })
            .build_sync()
            .map_err(|error| {
                let missing = error.kind() == io::ErrorKind::NotFound;
                let hint = if missing { " (the kernel has none)" } else { "" };
                named(&format!("making a TUN device{hint}"), &error)
            })?;
        device.set_nonblocking(true)?;
        Ok((side(address)?, Tunnel(device)))
    })
}

/// The side that the calling thread is on.
pub(crate) fn side(address: Ipv4Addr) -> io::Result<Side> {
    Ok(Side {
        namespace: File::open("/proc/thread-self/ns/net")?,
        address,
        counters: File::open("/proc/thread-self/net/dev")?,
    })
}

/// Does something on a thread of its own in a new network namespace, which ends with the thread
/// unless something of it is kept.
///
/// # Errors
///
/// When the process may not make a namespace, or what is done there fails.
pub(crate) fn in_a_new_one<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let thread = std::thread::Builder::new().name("namespace".into()).spawn(move || {
        #[expect(
            deprecated,
            reason = "its replacement is an unsafe fn; what it asks for concerns descriptors, of \
                      which none are parted with here"
        )]
        rustix::thread::unshare(UnshareFlags::NEWNET)
            .map_err(|error| named("making a network namespace", &error.into()))?;
        work()
    })?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread in a namespace panicked")))
}

/// Does something on a thread of its own in a namespace.
///
/// # Errors
///
/// When it may not be entered, or what is done there fails.
pub(crate) fn in_that_one<T: Send>(
    namespace: &File,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            work()
        });
        thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread in a namespace panicked")))
    })
}

/// Moves the calling thread, and every thread that it starts from now on, into a namespace.
/// Sockets that are open stay where they are.
///
/// # Errors
///
/// When the namespace is gone or may not be entered.
pub fn enter(namespace: &Path) -> io::Result<()> {
    let namespace = File::open(namespace)?;
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// An error that says what was being done.
pub(crate) fn named(doing: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{doing}: {error}"))
}
