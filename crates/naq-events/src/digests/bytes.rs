//! Numbers and texts as bytes: LEB128 varints, zigzag for signed ones.

/// Writes values one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    /// A whole number from 0 on.
    pub(crate) fn number(&mut self, mut value: u128) {
        loop {
            let low = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    /// A number of 64 bits.
    pub(crate) fn u64(&mut self, value: u64) {
        self.number(u128::from(value));
    }

    /// A length or place.
    pub(crate) fn len(&mut self, value: usize) {
        self.number(value as u128);
    }

    /// A signed number: small ones of either sign are short.
    pub(crate) fn i64(&mut self, value: i64) {
        self.u64((value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned());
    }

    /// A text.
    pub(crate) fn text(&mut self, text: &str) {
        self.len(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }
}

/// Reads them back; `None` where the bytes end or are none of it.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// A byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A whole number from 0 on.
    pub(crate) fn number(&mut self) -> Option<u128> {
        let mut value = 0_u128;
        for shift in (0..).step_by(7) {
            let byte = self.byte()?;
            let low = u128::from(byte & 0x7f);
            if shift >= 128 || (low << shift) >> shift != low {
                return None;
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(value)
    }

    /// A number of 64 bits.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        // Most are short, and of those the wide arithmetic is most of the work.
        let mut value = 0_u64;
        for (place, byte) in self.0.iter().take(8).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.0 = self.0.get(place + 1..)?;
                return Some(value);
            }
        }
        self.number()?.try_into().ok()
    }

    /// How many things follow: never more than there are bytes.
    pub(crate) fn len(&mut self) -> Option<usize> {
        usize::try_from(self.u64()?).ok().filter(|len| *len <= self.0.len())
    }

    /// A signed number.
    pub(crate) fn i64(&mut self) -> Option<i64> {
        let value = self.u64()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// A text.
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let len = self.len()?;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(a: u128, b: i64, c: u64, text: String) {
            let mut writer = Writer::default();
            writer.number(a);
            writer.i64(b);
            writer.text(&text);
            writer.u64(c);
            let mut reader = Reader(&writer.0);
            prop_assert_eq!(reader.number(), Some(a));
            prop_assert_eq!(reader.i64(), Some(b));
            prop_assert_eq!(reader.text(), Some(text.as_str()));
            prop_assert_eq!(reader.u64(), Some(c));
            prop_assert_eq!(reader.byte(), None);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let mut reader = Reader(&bytes);
            while reader.i64().is_some() {}
            let mut reader = Reader(&bytes);
            while reader.text().is_some() {}
        }
    }

    #[test]
    fn a_number_of_too_many_bits_is_none() {
        assert_eq!(Reader(&[0xff; 20]).number(), None);
        let mut most = Writer::default();
        most.number(u128::MAX);
        assert_eq!(Reader(&most.0).u64(), None);
        assert_eq!(Reader(&[9, b'x']).text(), None);
    }
}
