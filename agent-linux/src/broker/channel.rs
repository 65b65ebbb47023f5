//! Messages between worker and broker: each one packet of a socket that nobody else has, written by postcard.
//!
//! The socket keeps packets apart, so there are no lengths to get wrong; what is longer than [`MESSAGE_BYTES`] is refused at
//! either end. A message is made and read on the stack: opening a port takes no memory.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A grant with sixteen ports has 110 bytes; the text of an error is cut to fit.
pub(super) const MESSAGE_BYTES: usize = 1024;

/// Room for a socket beside a message.
const ONE_SOCKET: usize = rustix::cmsg_space!(ScmRights(1));

/// One end.
pub(super) struct Channel<S>(S);

/// Both ends; neither outlives a new program unless it is handed over.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

impl<S: AsFd> Channel<S> {
    pub(super) fn new(socket: S) -> Self {
        Self(socket)
    }

    pub(super) fn send(&self, message: &impl Serialize) -> io::Result<()> {
        let mut buffer = [0; MESSAGE_BYTES];
        let written = postcard::to_slice(message, &mut buffer).map_err(io::Error::other)?;
        self.send_bytes(written)
    }

    /// With a socket that the other end has from then on, too.
    pub(super) fn send_with_socket(
        &self,
        message: &impl Serialize,
        socket: BorrowedFd<'_>,
    ) -> io::Result<()> {
        let mut buffer = [0; MESSAGE_BYTES];
        let written = postcard::to_slice(message, &mut buffer).map_err(io::Error::other)?;
        let mut space = [MaybeUninit::uninit(); ONE_SOCKET];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        let sockets = [socket];
        if !beside.push(SendAncillaryMessage::ScmRights(&sockets)) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        retry_on_intr(|| sendmsg(&self.0, &[IoSlice::new(written)], &mut beside, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    pub(super) fn send_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        // A closed end is an error here and no signal.
        retry_on_intr(|| send(&self.0, bytes, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// Waits for a message; `None`: the other end is closed.
    pub(super) fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<T>> {
        let mut buffer = [0; MESSAGE_BYTES];
        let Some(bytes) = self.receive_bytes(&mut buffer)? else { return Ok(None) };
        let (message, rest) = postcard::take_from_bytes(bytes).map_err(io::Error::other)?;
        if !rest.is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Some(message))
    }

    /// Waits for a message that a socket may come with.
    pub(super) fn receive_with_socket<T: DeserializeOwned>(
        &self,
    ) -> io::Result<Option<(T, Option<OwnedFd>)>> {
        let (mut buffer, mut space) = ([0; MESSAGE_BYTES], [MaybeUninit::uninit(); ONE_SOCKET]);
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let received = retry_on_intr(|| {
            recvmsg(&self.0, &mut [IoSliceMut::new(&mut buffer)], &mut beside, RecvFlags::CMSG_CLOEXEC)
        })?;
        if received.bytes == 0 {
            return Ok(None);
        }
        let sockets = beside.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        });
        let socket = sockets.flatten().next();
        let bytes = buffer.get(..received.bytes).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some((postcard::from_bytes(bytes).map_err(io::Error::other)?, socket)))
    }

    pub(super) fn into_inner(self) -> S {
        self.0
    }

    pub(super) fn receive_bytes<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        let received = retry_on_intr(|| recv(&self.0, &mut *buffer, RecvFlags::TRUNC));
        match received {
            // No message is empty.
            Ok((_, 0)) | Err(Errno::CONNRESET) => Ok(None),
            Ok((_, length)) => buffer.get(..length).map(Some).ok_or(io::ErrorKind::InvalidData.into()),
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_whole_and_a_closed_end_is_told() {
        let (here, there) = pair().unwrap();
        let (here, there) = (Channel::new(here), Channel::new(there));
        here.send(&(7_u32, true)).unwrap();
        here.send(&9_u32).unwrap();
        assert_eq!(there.receive().unwrap(), Some((7_u32, true)));
        assert_eq!(there.receive().unwrap(), Some(9_u32));
        drop(here);
        assert_eq!(there.receive::<u32>().unwrap(), None);
        assert!(there.send(&1_u32).is_err());
    }

    #[test]
    fn a_socket_comes_with_its_message_and_a_message_may_come_alone() {
        let (here, there) = pair().unwrap();
        let (here, there) = (Channel::new(here), Channel::new(there));
        let (one, other) = pair().unwrap();
        here.send_with_socket(&7_u32, one.as_fd()).unwrap();
        here.send(&8_u32).unwrap();
        drop(one);
        let Some((7_u32, Some(handed))) = there.receive_with_socket().unwrap() else { panic!("no socket") };
        Channel::new(other).send(&9_u32).unwrap();
        assert_eq!(Channel::new(handed).receive().unwrap(), Some(9_u32));
        assert!(matches!(there.receive_with_socket().unwrap(), Some((8_u32, None))));
        drop(here);
        assert!(there.receive_with_socket::<u32>().unwrap().is_none());
    }

    #[test]
    fn what_is_too_long_or_goes_on_is_refused() {
        let (here, there) = pair().unwrap();
        let (here, there) = (Channel::new(here), Channel::new(there));
        assert!(here.send(&[7_u64; 32].map(|_| [u64::MAX; 8])).is_err());
        here.send_bytes(&[1; MESSAGE_BYTES + 1]).unwrap();
        assert!(there.receive::<u8>().is_err());
        here.send_bytes(&[1, 2]).unwrap();
        assert!(there.receive::<u8>().is_err());
    }
}
