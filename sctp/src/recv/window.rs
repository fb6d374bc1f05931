//! The receive window: what is held, and what the peer is told about it (RFC 9260 §6.2).

/// What a piece of data costs at least, whatever its length: about what a queue entry and an allocation take. Without
/// it a flood of one-byte messages would take a hundred times the memory that the window promises.
const MIN_CHARGE: usize = 128;

/// The user data of a usual full packet (1500 bytes IPv6 with UDP encapsulation): increases of less are not worth
/// telling.
const PACKET: usize = 1452 - 16 - 16;

/// By how much the data that fills the first gap may exceed the limit: one packet of any size.
const ONE_PACKET: usize = 1 << 16;

/// Data of about this cost is what is expected to be like what will come.
const MEMORY: u64 = u16::MAX as u64;

/// Full pieces of this cost are taken for the traffic so far when an association begins.
const PRIOR: u16 = 512;

/// What the receive buffer holds, and the window that is announced.
///
/// A peer counts the bytes that it sends and knows nothing of what they cost here. What it was told that it may send is
/// taken, as long as that costs no more than twice the buffer: nothing that was sent in good faith is dropped. So the
/// announced window goes back by what arrives, and new room is announced by what is left of the buffer after costs.
/// Where pieces are so small that a window of them would cost more than that, less is announced, in proportion.
#[derive(Debug)]
pub(super) struct Window {
    /// Bytes of user data held.
    payload: usize,
    /// What these cost.
    charged: usize,
    /// Bytes that came since the last announcement.
    came: u64,
    /// What these cost.
    came_cost: u64,
    /// The receive buffer's size, the initial a_rwnd.
    buffer: u32,
    /// The last announcement.
    told: u32,
    /// The largest window that can be announced.
    whole: u32,
    /// What came before that, older data counting less: bytes, and what these cost.
    learnt: (u16, u16),
}

fn size(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// What a piece of `len` bytes costs.
pub(super) fn charge(len: usize) -> usize {
    len.max(MIN_CHARGE)
}

impl Window {
    /// An empty buffer, announced as a whole (RFC 9260 §6.2 A).
    pub(super) fn new(buffer: u32) -> Self {
        Self {
            payload: 0,
            charged: 0,
            came: 0,
            came_cost: 0,
            buffer,
            told: buffer,
            whole: buffer,
            learnt: (PRIOR, PRIOR),
        }
    }

    /// Changes the receive buffer's size. What is held already stays; the window follows with the next announcement.
    pub(super) fn set_buffer(&mut self, buffer: u32) {
        self.buffer = buffer;
        self.whole = self.largest();
    }

    /// The receive buffer's size.
    pub(super) fn buffer(&self) -> usize {
        size(self.buffer)
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

    /// What is left of the buffer.
    pub(super) fn free(&self) -> usize {
        self.buffer().saturating_sub(self.charged)
    }

    /// Whether the peer was told that the window is zero, so that new data must be dropped (RFC 9260 §6.2).
    pub(super) const fn is_closed(&self) -> bool {
        self.told == 0
    }

    /// Whether too little is left for the peer to send anything sensible.
    pub(super) fn is_exhausted(&self) -> bool {
        self.free() < self.step()
    }

    /// Whether one more piece may be held. The last one may exceed the limit: a sender with nothing in flight may
    /// send a packet that is larger than the window (RFC 9260 §6.1 A).
    pub(super) fn has_room(&self) -> bool {
        self.has_room_with(0)
    }

    /// Whether a piece that fills the first gap may be held.
    pub(super) fn has_room_for_gap(&self) -> bool {
        self.has_room_with(ONE_PACKET)
    }

    fn has_room_with(&self, slack: usize) -> bool {
        let buffer = self.buffer();
        self.payload < buffer + slack && self.charged < 2 * buffer + slack
    }

    /// A piece of `len` bytes arrived and is held (RFC 9260 §6.2 B).
    pub(super) fn hold(&mut self, len: usize) {
        self.hold_unannounced(len);
        self.came += wide(len);
        self.came_cost += wide(charge(len));
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

    /// What the peer has left of the window it was told.
    fn promised(&self) -> usize {
        size(self.told).saturating_sub(usize::try_from(self.came).unwrap_or(usize::MAX))
    }

    /// How many bytes of user data come with this cost, if what comes is like what came.
    fn worth(&self, cost: u64) -> u64 {
        let (bytes, learnt_cost) = self.learnt;
        // In whole pieces, and rather too few.
        let of_each = u64::from(bytes) * MIN_CHARGE as u64 / u64::from(learnt_cost).max(1);
        cost / MIN_CHARGE as u64 * of_each.max(1)
    }

    /// How many bytes of user data can come until everything that may be held is.
    fn tenable(&self) -> usize {
        let cost = (2 * u64::from(self.buffer)).saturating_sub(wide(self.charged));
        let bytes = usize::try_from(self.worth(cost)).unwrap_or(usize::MAX);
        bytes.min(self.buffer().saturating_sub(self.payload))
    }

    /// The largest window that can be announced, by what was learnt.
    fn largest(&self) -> u32 {
        let all = u32::try_from(self.worth(2 * u64::from(self.buffer))).unwrap_or(u32::MAX);
        all.min(self.buffer)
    }

    /// The largest window that can be announced.
    #[cfg(test)]
    pub(super) fn whole(&self) -> usize {
        size(self.whole)
    }

    /// The window to announce. It opens only in steps that let the peer send a full packet, or half of a small
    /// buffer (RFC 9260 §6.2, RFC 1122 §4.2.3.3: silly window avoidance).
    pub(super) fn a_rwnd(&self) -> u32 {
        let tenable = self.tenable();
        let free = self.free().min(tenable);
        let promised = self.promised();
        let window = if free >= promised + self.step() {
            free
        } else {
            promised.min(tenable)
        };
        u32::try_from(window).unwrap_or(u32::MAX)
    }

    /// The window is announced now (RFC 9260 §6.2 D).
    pub(super) fn announce(&mut self) -> u32 {
        self.learn();
        self.told = self.a_rwnd();
        (self.came, self.came_cost) = (0, 0);
        self.told
    }

    /// The last announcement.
    pub(super) const fn told(&self) -> u32 {
        self.told
    }

    /// Expects what will come to be like what came.
    fn learn(&mut self) {
        let mut bytes = self.came.saturating_add(self.learnt.0.into());
        let mut cost = self.came_cost.saturating_add(self.learnt.1.into());
        while cost > MEMORY {
            bytes /= 2;
            cost /= 2;
        }
        let narrow = |n: u64| u16::try_from(n).unwrap_or(u16::MAX);
        self.learnt = (narrow(bytes), narrow(cost));
        self.whole = self.largest();
    }

    /// Whether the window opened so far that the peer should be told without waiting for data: by half of the buffer,
    /// or from less than a packet by two packets (RFC 9260 §6.2: window updates, but few).
    pub(super) fn update_is_due(&self) -> bool {
        let promised = self.promised();
        let opened = self.free().saturating_sub(promised);
        let half = size(self.whole) / 2;
        let enough = if promised < self.step() {
            half.min(2 * PACKET)
        } else {
            half
        };
        opened >= enough && self.tenable() >= promised + enough
    }

    fn step(&self) -> usize {
        PACKET.min(size(self.whole) / 2)
    }
}
