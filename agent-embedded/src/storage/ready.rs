//! Futures without an executor: those of a gateway's flash are ready when they are first polled.

use core::pin::pin;
use core::task::{Context, Poll, Waker};

/// What `future` gives at once; `None` if it would have to be waited for, which no flash of ours does.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
