//! An ordinary host with its own TCP stack.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};

use crate::cable::Port;

pub(crate) struct Host {
    pub(crate) port: Port,
    pub(crate) hardware: EthernetAddress,
    pub(crate) v4: Ipv4Addr,
    pub(crate) v6: Ipv6Addr,
    interface: Interface,
    sockets: SocketSet<'static>,
    /// The next connection leaves from the port after this one.
    pub(crate) next_port: u16,
    is_mute: bool,
}

impl Host {
    /// The host `last` of 192.0.2.0/24 and 2001:db8::/64.
    pub(crate) fn new(port: Port, last: u8) -> Self {
        let mut port = port.with_program();
        let hardware = EthernetAddress([2, 0, 0, 0, 0, last]);
        let v4 = Ipv4Addr::new(192, 0, 2, last);
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into());
        let mut config = Config::new(HardwareAddress::Ethernet(hardware));
        config.random_seed = last.into();
        let mut interface = Interface::new(config, &mut port, Instant::ZERO);
        interface.update_ip_addrs(|all| all.extend([IpCidr::new(v4.into(), 24), IpCidr::new(v6.into(), 64)]));
        Self {
            port,
            hardware,
            v4,
            v6,
            interface,
            sockets: SocketSet::new(vec![]),
            next_port: 49_152,
            is_mute: false,
        }
    }

    /// Its address in the family of `other`.
    pub(crate) fn address_towards(&self, other: IpAddr) -> IpAddr {
        if other.is_ipv4() { self.v4.into() } else { self.v6.into() }
    }

    /// From now on the host says nothing by itself, so that a test can speak for it.
    pub(crate) fn mute(&mut self) {
        self.is_mute = true;
    }

    pub(crate) fn poll(&mut self, now: Instant) -> Option<Instant> {
        if self.is_mute {
            self.port.forget();
            return None;
        }
        self.interface.poll(now, &mut self.port, &mut self.sockets);
        self.interface.poll_at(now, &self.sockets)
    }

    /// Begins to connect.
    pub(crate) fn connect(&mut self, to: SocketAddr) -> SocketHandle {
        self.next_port = if self.next_port == u16::MAX { 49_152 } else { self.next_port + 1 };
        let mut socket = new_socket();
        socket.connect(self.interface.context(), to, self.next_port).unwrap();
        self.sockets.add(socket)
    }

    pub(crate) fn listen(&mut self, port: u16) -> SocketHandle {
        let mut socket = new_socket();
        socket.listen(port).unwrap();
        self.sockets.add(socket)
    }

    pub(crate) fn socket(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }

    pub(crate) fn state(&self, handle: SocketHandle) -> State {
        self.sockets.get::<Socket>(handle).state()
    }

    /// Forgets a connection without a word.
    pub(crate) fn forget(&mut self, handle: SocketHandle) {
        self.sockets.remove(handle);
    }

    /// All that has come in.
    pub(crate) fn read(&mut self, handle: SocketHandle) -> Vec<u8> {
        let read = self.socket(handle).recv(|bytes| (bytes.len(), bytes.to_vec()));
        read.unwrap_or_default()
    }
}

fn new_socket() -> Socket<'static> {
    Socket::new(SocketBuffer::new(vec![0; 4096]), SocketBuffer::new(vec![0; 4096]))
}
