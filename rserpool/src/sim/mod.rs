//! Whole deployments in one thread: registrars, elements and users on a simulated network, with faults.
//!
//! ```
//! use std::time::Duration;
//!
//! use rserpool::ids::PoolHandle;
//! use rserpool::sim::{Chaos, Deployment, DirectProfile};
//! use rserpool::wire::policy::PolicyParam;
//!
//! let pool = PoolHandle::new("EchoPool")?;
//! let mut deployment = Deployment::direct(1, DirectProfile::default())
//!     .registrars(1)
//!     .elements(&pool, 5, &PolicyParam::RoundRobin)
//!     .users(&pool, 3);
//! deployment.start_chaos(Chaos::default());
//! deployment.run_for(Duration::from_secs(60));
//! assert!(deployment.summary().answers > 0);
//! # Ok::<(), rserpool::ids::BadPoolHandle>(())
//! ```
//!
//! The engines are those of the programs. A run checks its invariants while it goes on, and panics if one is broken; it
//! follows from its seed, so it can be repeated.

#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "a tool for tests: a broken invariant must stop the run"
)]

mod chaos;
mod counting;
mod deployment;
mod direct;
mod full;
mod invariants;
mod network;
mod node;
mod oracle;
mod trace;

pub use self::chaos::Chaos;
pub use self::deployment::{Deployment, Summary};
pub use self::direct::{DirectNetwork, DirectProfile};
pub use self::full::FullNetwork;
pub use self::invariants::Deadlines;
pub use self::network::{Death, Network, NodeId};
pub use self::trace::Trace;
