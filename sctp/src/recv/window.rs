//! The receive window: what is held, and what the peer is told about it (RFC 9260 §6.2).

/// What a piece of data costs at least, whatever its length: about what a queue entry and an allocation take. Without
/// it a flood of one-byte messages would take a hundred times the memory that the window promises.
const MIN_CHARGE: usize = 128;

/// The user data of a usual full packet (1500 bytes IPv6 with UDP encapsulation): increases of less are not worth
/// telling.
const PACKET: usize = 1452 - 16 - 16;

/// By how much the data that fills the first gap may exceed the limit: one packet of any size.
const ONE_PACKET: usize = 1 << 16;

/// What the receive buffer holds, and the window that is announced.
///
/// The window shrinks by what data costs rather than by its length, so a peer that counts bytes may have sent more
/// small messages than the window says. The buffer takes these up to twice its size before data is dropped.
#[derive(Debug)]
pub(super) struct Window {
    /// The receive buffer's size, the initial a_rwnd.
    buffer: usize,
    /// Bytes of user data held.
    payload: usize,
    /// What these cost.
    charged: usize,
    /// What the peer has left of the window it was told.
    announced: usize,
    /// The last announcement.
    told: u32,
    /// Whether the last announcement was zero.
    closed: bool,
}

/// What a piece of `len` bytes costs.
pub(super) fn charge(len: usize) -> usize {
    len.max(MIN_CHARGE)
}

impl Window {
    /// An empty buffer, announced as a whole (RFC 9260 §6.2 A).
    pub(super) fn new(buffer: u32) -> Self {
        let told = buffer;
        let buffer = usize::try_from(buffer).unwrap_or(usize::MAX);
        Self {
            buffer,
            payload: 0,
            charged: 0,
            announced: buffer,
            told,
            closed: false,
        }
    }

    /// Changes the receive buffer's size. What is held already stays; the window follows with the next announcement.
    pub(super) fn set_buffer(&mut self, buffer: u32) {
        self.buffer = usize::try_from(buffer).unwrap_or(usize::MAX);
    }

    /// The receive buffer's size.
    pub(super) const fn buffer(&self) -> usize {
        self.buffer
    }

    /// Bytes of user data held.
    #[cfg(any(test, fuzzing))]
    pub(super) const fn payload(&self) -> usize {
        self.payload
    }

    /// What everything held costs.
    #[cfg(any(test, fuzzing))]
    pub(super) const fn charged(&self) -> usize {
        self.charged
    }

    /// The window as it was announced last.
    pub(super) const fn told(&self) -> u32 {
        self.told
    }

    /// What is left of the buffer.
    pub(super) const fn free(&self) -> usize {
        self.buffer.saturating_sub(self.charged)
    }

    /// Whether the peer was told that the window is zero, so that new data must be dropped (RFC 9260 §6.2).
    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether too little is left for the peer to send anything sensible.
    pub(super) fn is_exhausted(&self) -> bool {
        self.free() < self.step()
    }

    /// Whether one more piece may be held. The last one may exceed the limit: a sender with nothing in flight may
    /// send a packet that is larger than the window (RFC 9260 §6.1 A).
    pub(super) const fn has_room(&self) -> bool {
        self.has_room_with(0)
    }

    /// Whether a piece that fills the first gap may be held.
    pub(super) const fn has_room_for_gap(&self) -> bool {
        self.has_room_with(ONE_PACKET)
    }

    const fn has_room_with(&self, slack: usize) -> bool {
        self.payload < self.buffer + slack && self.charged < 2 * self.buffer + slack
    }

    /// A piece of `len` bytes arrived and is held (RFC 9260 §6.2 B).
    pub(super) fn hold(&mut self, len: usize) {
        self.hold_unannounced(len);
        self.announced = self.announced.saturating_sub(charge(len));
    }

    /// A piece of `len` bytes is held that the peer knows nothing of.
    pub(super) fn hold_unannounced(&mut self, len: usize) {
        self.payload += len;
        self.charged += charge(len);
    }

    /// A piece of `len` bytes is held no more (RFC 9260 §6.2 C).
    pub(super) fn release(&mut self, len: usize) {
        self.payload = self.payload.saturating_sub(len);
        self.charged = self.charged.saturating_sub(charge(len));
    }

    /// Pieces that cost `charged` became one of `len` bytes.
    pub(super) fn merge(&mut self, charged: usize, len: usize) {
        self.charged = (self.charged + charge(len)).saturating_sub(charged);
    }

    /// Pieces of `len` bytes together, which cost `charged`, are held no more.
    pub(super) const fn release_all(&mut self, charged: usize, len: usize) {
        self.payload = self.payload.saturating_sub(len);
        self.charged = self.charged.saturating_sub(charged);
    }

    /// The window to announce. It opens only in steps that let the peer send a full packet, or half of a small
    /// buffer (RFC 9260 §6.2, RFC 1122 §4.2.3.3: silly window avoidance).
    pub(super) fn a_rwnd(&self) -> u32 {
        let free = self.free();
        let window = if free >= self.announced + self.step() {
            free
        } else {
            free.min(self.announced)
        };
        u32::try_from(window).unwrap_or(u32::MAX)
    }

    /// The window is announced now (RFC 9260 §6.2 D).
    pub(super) fn announce(&mut self) -> u32 {
        let window = self.a_rwnd();
        self.announced = usize::try_from(window).unwrap_or(usize::MAX);
        self.told = window;
        self.closed = window == 0;
        window
    }

    /// Whether the window opened so far that the peer should be told without waiting for data: by half of the buffer,
    /// or from less than a packet by two packets (RFC 9260 §6.2: window updates, but few).
    pub(super) fn update_is_due(&self) -> bool {
        let opened = self.free().saturating_sub(self.announced);
        let half = self.buffer / 2;
        opened >= half || (self.announced < self.step() && opened >= half.min(2 * PACKET))
    }

    fn step(&self) -> usize {
        PACKET.min(self.buffer / 2)
    }
}
