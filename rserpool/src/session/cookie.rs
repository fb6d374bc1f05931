//! The cookie of a session at the pool user (RFC 5352 §3.8).

use crate::wire::param::Cookie;

/// The newest cookie of a session; older ones are of no use. However many come, one is kept.
#[derive(Debug, Default)]
pub(crate) struct CookieStore {
    newest: Option<Cookie>,
}

impl CookieStore {
    pub(crate) fn keep(&mut self, cookie: Cookie) {
        self.newest = Some(cookie);
    }

    /// The cookie to bring to the next element. It stays: that element may fail before it leaves one of its own.
    pub(crate) const fn newest(&self) -> Option<&Cookie> {
        self.newest.as_ref()
    }
}
