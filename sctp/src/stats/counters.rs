//! What all sets of counters have in common.

/// Declares a set of counters: a line a counter, with its name in the MIB if it has one there.
macro_rules! counters {
    ($(#[$doc:meta])* $set:ident { $($(#[$about:meta])* $field:ident $(= $mib:literal)?,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $set {
            $($(#[$about])* $(#[doc = concat!("\n\nRFC 3873: `", $mib, "`.")])? pub $field: u64,)+
        }

        impl $set {
            /// Each counter with its name: the MIB's (RFC 3873) if it is there, else that of the field.
            pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$(($crate::stats::counters::name!($field $($mib)?), self.$field)),+].into_iter()
            }

            /// The counter of that name.
            pub fn counter_mut(&mut self, name: &str) -> Option<&mut u64> {
                $(if name == $crate::stats::counters::name!($field $($mib)?) {
                    return Some(&mut self.$field);
                })+
                None
            }
        }

        /// A map of [`counters`](Self::counters).
        #[cfg(feature = "serde")]
        impl serde::Serialize for $set {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_map(self.counters())
            }
        }

        /// Several together.
        impl std::ops::AddAssign for $set {
            fn add_assign(&mut self, other: Self) {
                $(self.$field = self.$field.saturating_add(other.$field);)+
            }
        }

        /// A line a counter, without those that are zero.
        impl std::fmt::Display for $set {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                for (name, count) in self.counters().filter(|(_, count)| *count > 0) {
                    writeln!(f, "{name:<32} {count}")?;
                }
                Ok(())
            }
        }
    };
}

/// What a counter is called.
macro_rules! name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $mib:literal) => {
        $mib
    };
}

pub(super) use {counters, name};
