//! Asking the kernel for devices, addresses and queueing disciplines (`man 7 rtnetlink`).

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage, TcStats2};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    RecvFlags, SendFlags, SocketFlags, SocketType, netdevice, recv, send, socket_with,
};

use crate::network::namespace::MTU;

/// How long the kernel may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest piece of an answer.
const LONGEST: usize = 64 << 10;

/// `TCA_OPTIONS` of `linux/rtnetlink.h`.
const OPTIONS: u16 = 2;

/// A conversation with the kernel about the network namespace it was begun in.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

/// What a queueing discipline has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queued {
    /// The device it is on.
    pub(crate) device: u32,
    /// Packets that left it.
    pub(crate) packets: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Packets that never did.
    pub(crate) dropped: u64,
}

impl Netlink {
    /// Begins in the namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left.
    pub(crate) fn open() -> io::Result<Netlink> {
        // Its protocol zero is that of routes and devices.
        let (family, kind) = (rustix::net::AddressFamily::NETLINK, SocketType::RAW);
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        Ok(Netlink { socket, sequence: 0 })
    }

    /// Makes a pair of virtual Ethernet devices, the second of them in another namespace.
    ///
    /// Neither takes packets larger than [`MTU`]: a queueing discipline would delay or lose a large
    /// one as a whole, though a wire carries its parts one by one.
    ///
    /// # Errors
    ///
    /// When the kernel refuses, as any further request does.
    pub(crate) fn pair(
        &mut self,
        name: &str,
        (other, namespace): (&str, BorrowedFd<'_>),
    ) -> io::Result<()> {
        let device = |name: &str| {
            let mut message = LinkMessage::default();
            message.attributes = vec![
                LinkAttribute::IfName(name.to_owned()),
                LinkAttribute::Mtu(MTU.into()),
                LinkAttribute::GsoMaxSegs(1),
            ];
            message
        };
        let mut peer = device(other);
        peer.attributes.push(LinkAttribute::NetNsFd(namespace.as_raw_fd()));
        let mut message = device(name);
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]));
        self.ask(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Gives a device an address, and a peer that it leads to.
    pub(crate) fn address(
        &mut self,
        device: &str,
        own: Ipv4Addr,
        peer: Ipv4Addr,
    ) -> io::Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = 32;
        message.header.index = self.index(device)?;
        message.attributes = vec![
            AddressAttribute::Local(IpAddr::V4(own)),
            AddressAttribute::Address(IpAddr::V4(peer)),
        ];
        self.ask(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Turns a device on.
    pub(crate) fn up(&mut self, device: &str) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = self.index(device)?;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        self.ask(RouteNetlinkMessage::SetLink(message), 0)
    }

    /// Puts a queueing discipline on a device; `options` are as its kind has them.
    pub(crate) fn discipline(
        &mut self,
        device: &str,
        kind: &str,
        options: Vec<u8>,
    ) -> io::Result<()> {
        let index = self.index(device)?;
        let mut message = TcMessage::with_index(i32::try_from(index).map_err(io::Error::other)?);
        message.header.parent = TcHandle::ROOT;
        message.attributes = vec![
            TcAttribute::Kind(kind.to_owned()),
            TcAttribute::Other(DefaultNla::new(OPTIONS, options)),
        ];
        self.ask(RouteNetlinkMessage::NewQueueDiscipline(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// What the queueing disciplines of a kind have counted.
    pub(crate) fn queued(&mut self, kind: &str) -> io::Result<Vec<Queued>> {
        let question = RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default());
        self.send(question, NLM_F_REQUEST | NLM_F_DUMP)?;
        let mut found = Vec::new();
        loop {
            for message in self.receive()? {
                match message.payload {
                    NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewQueueDiscipline(one)) => {
                        found.extend(counted(&one, kind));
                    }
                    NetlinkPayload::Done(_) => return Ok(found),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    _ => {}
                }
            }
        }
    }

    /// The number of a device.
    pub(crate) fn index(&self, device: &str) -> io::Result<u32> {
        Ok(netdevice::name_to_index(&self.socket, device)?)
    }

    /// Asks for something and waits until it is done.
    fn ask(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.send(message, NLM_F_REQUEST | NLM_F_ACK | flags)?;
        for message in self.receive()? {
            if let NetlinkPayload::Error(error) = message.payload {
                // An error without a code is the acknowledgement.
                return if error.code.is_none() { Ok(()) } else { Err(error.to_io()) };
            }
        }
        Err(io::Error::other("the kernel did not acknowledge a request"))
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        send(&self.socket, &bytes, SendFlags::empty())?;
        Ok(())
    }

    /// The next messages of the kernel.
    fn receive(&mut self) -> io::Result<Vec<NetlinkMessage<RouteNetlinkMessage>>> {
        let mut buffer = vec![0; LONGEST];
        let (_, length) = recv(&self.socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = &buffer[..length];
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let message = NetlinkMessage::deserialize(rest).map_err(io::Error::other)?;
            let length = usize::try_from(message.header.length).map_err(io::Error::other)?;
            messages.push(message);
            // Each begins at a multiple of four bytes.
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(messages)
    }
}

/// What a discipline has counted, if it is of that kind.
fn counted(message: &TcMessage, wanted: &str) -> Option<Queued> {
    let device = u32::try_from(message.header.index).ok()?;
    let mut queued = Queued { device, ..Queued::default() };
    let mut is_wanted = false;
    for attribute in &message.attributes {
        match attribute {
            TcAttribute::Kind(kind) => is_wanted = kind == wanted,
            TcAttribute::Stats2(statistics) => {
                for statistic in statistics {
                    match statistic {
                        TcStats2::Basic(basic) => {
                            (queued.packets, queued.bytes) = (basic.packets.into(), basic.bytes);
                        }
                        TcStats2::Queue(queue) => queued.dropped = queue.drops.into(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    is_wanted.then_some(queued)
}
