//! What a host is to be.

use std::fmt;
use std::net::IpAddr;

use super::super::ids::LinkId;
use crate::config::StackConfig;

pub(super) type Tune = Box<dyn Fn(&mut StackConfig)>;

/// What a host is to be.
pub struct HostConfig {
    pub(crate) name: String,
    pub(crate) interfaces: Vec<(LinkId, Vec<IpAddr>)>,
    pub(super) encapsulation: Option<u16>,
    pub(super) max_segments: usize,
    pub(super) tune: Option<Tune>,
    pub(super) scripted: bool,
}

impl fmt::Debug for HostConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostConfig")
            .field("name", &self.name)
            .field("interfaces", &self.interfaces)
            .field("encapsulation", &self.encapsulation)
            .field("scripted", &self.scripted)
            .finish_non_exhaustive()
    }
}

impl HostConfig {
    /// A host with a stack. What is random about it follows from its name.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            interfaces: Vec::new(),
            encapsulation: None,
            max_segments: 8,
            tune: None,
            scripted: false,
        }
    }

    /// A host without a stack, that a test speaks for.
    pub fn scripted(name: &str) -> Self {
        Self {
            scripted: true,
            ..Self::new(name)
        }
    }

    /// One more interface: the link it is on, and its addresses.
    ///
    /// # Panics
    ///
    /// If a text is no address.
    #[must_use]
    pub fn interface(mut self, link: LinkId, addresses: &[&str]) -> Self {
        let parse = |text: &&str| text.parse().unwrap_or_else(|_| panic!("{text} is no address"));
        self.interfaces.push((link, addresses.iter().map(parse).collect()));
        self
    }

    /// Speaks SCTP in UDP from this port.
    #[must_use]
    pub const fn encapsulation(mut self, port: u16) -> Self {
        self.encapsulation = Some(port);
        self
    }

    /// How many packets the stack may put into one transmission.
    #[must_use]
    pub const fn max_segments(mut self, segments: usize) -> Self {
        self.max_segments = segments;
        self
    }

    /// Changes the configuration of the stack, at the start and at each restart.
    #[must_use]
    pub fn stack(mut self, tune: impl Fn(&mut StackConfig) + 'static) -> Self {
        self.tune = Some(Box::new(tune));
        self
    }
}
