//! Numbers as the bytes of the kernel's structures.

/// What a field of a structure can be.
pub(crate) trait Field: Copy {
    /// Writes it over the beginning of `out`.
    fn store(self, out: &mut [u8]);

    /// Reads it from the beginning of `bytes`; `None` if they are too few.
    fn load(bytes: &[u8]) -> Option<Self>;
}

macro_rules! number_fields {
    ($($number:ty),*) => {$(
        impl Field for $number {
            fn store(self, out: &mut [u8]) {
                if let Some(place) = out.first_chunk_mut() {
                    *place = self.to_ne_bytes();
                }
            }

            fn load(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|bytes| Self::from_ne_bytes(*bytes))
            }
        }
    )*};
}
number_fields!(u8, u16, u32, u64, i32);
