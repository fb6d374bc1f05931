//! Setting options of several associations at once.

use super::Options;
use crate::{Error, Result, SctpSocket};

/// Which associations of a one-to-many style socket an option is set of (RFC 6458 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssocScope {
    /// Those that begin later (`SCTP_FUTURE_ASSOC`).
    Future,
    /// Those that there are (`SCTP_CURRENT_ASSOC`).
    Current,
    /// Both (`SCTP_ALL_ASSOC`).
    All,
}

impl SctpSocket {
    /// Sets options of the associations to come, of those that there are, or of all: `set` is called with the options
    /// of each. Associations that end meanwhile are passed over.
    ///
    /// # Errors
    ///
    /// The first that `set` fails with, after all were tried; [`Error::Closed`].
    pub fn set_options(&self, scope: AssocScope, mut set: impl FnMut(&Options) -> Result<()>) -> Result<()> {
        let mut outcome = Ok(());
        if scope != AssocScope::Current {
            let options = self.options();
            outcome = set(&match scope {
                AssocScope::Future => options.of_future(),
                _ => options,
            });
        }
        if scope != AssocScope::Future {
            for assoc in self.associations()? {
                match set(&self.association(assoc).options()) {
                    Ok(()) | Err(Error::NoSuchAssociation) => {}
                    Err(error) => outcome = outcome.and(Err(error)),
                }
            }
        }
        outcome
    }
}
