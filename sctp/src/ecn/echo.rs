//! What is to be told of marks.

use crate::serial::Tsn;

/// The receiver's side: what the ECNE says that goes with each SACK, and the sender's: what the next CWR says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Echo {
    marked: Option<Tsn>,
    heard: Option<Tsn>,
}

impl Echo {
    /// A marked packet came, of which this is the lowest TSN. True if nothing was to be told before: then the sender is
    /// to know at once.
    pub(crate) fn on_marked(&mut self, lowest: Tsn) -> bool {
        let first = self.marked.is_none();
        self.marked = Some(later(self.marked, lowest));
        first
    }

    /// The peer has heard of marks up to this TSN.
    pub(crate) fn on_cwr(&mut self, tsn: Tsn) {
        self.marked.take_if(|marked| !marked.is_after(tsn));
    }

    /// The TSN for an ECNE.
    pub(crate) const fn told(&self) -> Option<Tsn> {
        self.marked
    }

    /// An ECNE came, which a CWR is to answer. Several are answered by one.
    pub(crate) fn on_ecne(&mut self, tsn: Tsn) {
        self.heard = Some(later(self.heard, tsn));
    }

    /// Whether a CWR is to be sent.
    pub(crate) const fn owes_cwr(&self) -> bool {
        self.heard.is_some()
    }

    /// The TSN for the CWR, which is sent now.
    pub(crate) const fn take_cwr(&mut self) -> Option<Tsn> {
        self.heard.take()
    }
}

fn later(known: Option<Tsn>, tsn: Tsn) -> Tsn {
    known.filter(|known| known.is_after(tsn)).unwrap_or(tsn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_told_until_a_cwr_for_it_or_for_a_later_one_comes() {
        let mut echo = Echo::default();
        assert!(echo.on_marked(Tsn(u32::MAX)));
        assert!(!echo.on_marked(Tsn(2)), "the later one is told from now on");
        assert!(!echo.on_marked(Tsn(1)), "what was overtaken is told by it");
        assert_eq!(echo.told(), Some(Tsn(2)));
        echo.on_cwr(Tsn(1));
        assert_eq!(echo.told(), Some(Tsn(2)));
        echo.on_cwr(Tsn(2));
        assert_eq!(echo.told(), None);
        assert!(echo.on_marked(Tsn(3)));
        echo.on_cwr(Tsn(100));
        assert_eq!(echo.told(), None);
    }

    #[test]
    fn several_ecnes_are_answered_by_one_cwr() {
        let mut echo = Echo::default();
        (1..5).for_each(|tsn| echo.on_ecne(Tsn(tsn)));
        echo.on_ecne(Tsn(2));
        assert!(echo.owes_cwr());
        assert_eq!((echo.take_cwr(), echo.take_cwr()), (Some(Tsn(4)), None));
    }
}
