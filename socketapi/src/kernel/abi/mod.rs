//! The kernel's structures and numbers (`linux/sctp.h`), and their way to bytes and back without `unsafe`.

mod consts;
mod structs;

use std::net::SocketAddr;

pub(crate) use super::field::Field;
pub(crate) use consts::*;
pub(crate) use structs::*;

use super::address;

/// A structure that system calls take and give.
pub(crate) trait Abi: Sized {
    /// Its length.
    const LEN: usize;

    /// It as bytes.
    fn to_bytes(self) -> Vec<u8>;

    /// It out of bytes, which may be more; `None` if they are fewer.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// `struct sockaddr_storage`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Storage([u64; 16]);

impl Storage {
    /// The address; a missing one has the family `AF_UNSPEC`.
    pub(crate) fn new(address: Option<SocketAddr>) -> Self {
        let mut bytes = address.map(address::encode).unwrap_or_default();
        bytes.resize(size_of::<Self>(), 0);
        Self::load(&bytes).unwrap_or_default()
    }

    /// The address in it, if it is one.
    pub(crate) fn address(self) -> Option<SocketAddr> {
        let mut bytes = [0; size_of::<Self>()];
        self.store(&mut bytes);
        address::decode(&bytes).map(|(address, _)| address)
    }
}

impl Field for Storage {
    fn store(self, out: &mut [u8]) {
        for (place, word) in out.chunks_exact_mut(8).zip(self.0) {
            word.store(place);
        }
    }

    fn load(bytes: &[u8]) -> Option<Self> {
        let mut words = [0; 16];
        for (index, word) in words.iter_mut().enumerate() {
            *word = u64::load(bytes.get(8 * index..)?)?;
        }
        Some(Self(words))
    }
}

/// Defines structures as C lays them out, and checks their sizes.
macro_rules! abi {
    ($($(#[$meta:meta])* $name:ident: $size:literal $(as $repr:ident)? { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default)]
        #[repr(C $(, $repr)?)]
        pub(crate) struct $name {
            $(pub(crate) $field: $type),*
        }

        #[cfg(target_pointer_width = "64")]
        const _: () = assert!(size_of::<$name>() == $size);

        impl $crate::kernel::abi::Abi for $name {
            const LEN: usize = size_of::<Self>();

            fn to_bytes(self) -> Vec<u8> {
                let mut bytes = vec![0; Self::LEN];
                $(
                    if let Some(place) = bytes.get_mut(std::mem::offset_of!(Self, $field)..) {
                        $crate::kernel::abi::Field::store(self.$field, place);
                    }
                )*
                bytes
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                let bytes = bytes.get(..Self::LEN)?;
                Some(Self {
                    $($field: $crate::kernel::abi::Field::load(bytes.get(std::mem::offset_of!(Self, $field)..)?)?),*
                })
            }
        }
    )*};
}
use abi;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_survive_the_way_to_bytes_and_back() {
        let address: SocketAddr = "[2001:db8::1]:7".parse().unwrap();
        let params = PaddrParams {
            assoc: 9,
            address: Storage::new(Some(address)),
            hb_interval: 1000,
            path_max_rxt: 5,
            flags: SPP_HB_ENABLE,
            dscp: 46,
            ..PaddrParams::default()
        };
        let bytes = params.to_bytes();
        assert_eq!(bytes.len(), 156);
        let back = PaddrParams::from_bytes(&bytes).unwrap();
        assert_eq!({ back.assoc }, 9);
        assert_eq!({ back.address }.address(), Some(address));
        assert_eq!(
            ({ back.hb_interval }, { back.flags }, back.dscp),
            (1000, SPP_HB_ENABLE, 46)
        );
        assert!(PaddrParams::from_bytes(&bytes[1..]).is_none());
    }

    #[test]
    fn fields_lie_where_c_puts_them() {
        assert_eq!(std::mem::offset_of!(SndInfo, ppid), 4);
        assert_eq!(std::mem::offset_of!(RcvInfo, ppid), 8);
        assert_eq!(std::mem::offset_of!(PaddrChange, state), 136);
        assert_eq!(std::mem::offset_of!(PaddrParams, path_max_rxt), 136);
        assert_eq!(std::mem::offset_of!(PaddrParams, path_mtu), 138);
        assert_eq!(std::mem::offset_of!(PaddrParams, dscp), 154);
        assert_eq!(std::mem::offset_of!(PaddrThresholds, path_max_rxt), 136);
        assert_eq!(std::mem::offset_of!(Status, primary_address), 28);
        assert_eq!(std::mem::offset_of!(AssocStats, max_rto), 136);
        assert_eq!(std::mem::offset_of!(RemoteError, assoc), 12);
    }

    #[test]
    fn no_address_is_none() {
        assert_eq!(Storage::new(None).address(), None);
    }
}
