//! The page headers of a column, held against what is written before a decoder believes them.
//!
//! The decoder fills memory for as many bytes as a page says it has when unpacked, up to 2 GiB for
//! a file of a hundred bytes. Headers are in the compact protocol of Thrift; of them only the two
//! sizes are read here.
//!
//! The decoder reads a field by its number, whatever kind of value the header says it has, cuts
//! numbers to 16 bits and lets the last of several count. A header that makes use of that would be
//! read as one here and as another there. So a header is refused unless every field is one that
//! headers have, of its own kind, and each comes once, in the order of their numbers.

/// The most a page takes unpacked: pages are written at 1 MiB or 20 000 rows, whichever is first.
const MOST: u64 = 8 << 20;

/// What a field of a header holds.
#[derive(Clone, Copy)]
enum Holds {
    I32,
    I64,
    Boolean,
    Binary,
    /// A structure of these fields, which are numbered from one.
    Structure(&'static [Holds]),
}

/// `PageHeader` of the Parquet format.
const PAGE: &[Holds] = &[
    // The kind of page, its size unpacked and packed, and a checksum.
    Holds::I32,
    Holds::I32,
    Holds::I32,
    Holds::I32,
    Holds::Structure(DATA),
    Holds::Structure(&[]),
    Holds::Structure(DICTIONARY),
    Holds::Structure(DATA_2),
];

/// The numbers of the sizes in it.
const UNPACKED: i16 = 2;
const PACKED: i16 = 3;

/// `DataPageHeader`.
const DATA: &[Holds] =
    &[Holds::I32, Holds::I32, Holds::I32, Holds::I32, Holds::Structure(STATISTICS)];

/// `DictionaryPageHeader`.
const DICTIONARY: &[Holds] = &[Holds::I32, Holds::I32, Holds::Boolean];

/// `DataPageHeaderV2`.
const DATA_2: &[Holds] = &[
    Holds::I32,
    Holds::I32,
    Holds::I32,
    Holds::I32,
    Holds::I32,
    Holds::I32,
    Holds::Boolean,
    Holds::Structure(STATISTICS),
];

/// `Statistics`.
const STATISTICS: &[Holds] = &[
    Holds::Binary,
    Holds::Binary,
    Holds::I64,
    Holds::I64,
    Holds::Binary,
    Holds::Binary,
    Holds::Boolean,
    Holds::Boolean,
    Holds::I64,
];

/// The kinds of values in the compact protocol.
mod kind {
    pub(super) const STOP: u8 = 0;
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const I32: u8 = 5;
    pub(super) const I64: u8 = 6;
    pub(super) const BINARY: u8 = 8;
    pub(super) const STRUCTURE: u8 = 12;
}

/// Checks every page of a column.
///
/// # Errors
///
/// When a header is not one that is written, or a page is larger than any that is written or ends
/// beyond its column.
pub(super) fn check(column: &[u8]) -> Result<(), &'static str> {
    let mut rest = column;
    while !rest.is_empty() {
        let sizes = sizes(&mut rest).ok_or("a page header cannot be read")?;
        if sizes.unpacked > MOST {
            return Err("a page is larger than any that is written");
        }
        let packed = usize::try_from(sizes.packed).ok();
        rest =
            packed.and_then(|packed| rest.get(packed..)).ok_or("a page ends beyond its column")?;
    }
    Ok(())
}

/// What a page takes.
struct Sizes {
    unpacked: u64,
    packed: u64,
}

/// Takes a page header.
fn sizes(rest: &mut &[u8]) -> Option<Sizes> {
    let (mut unpacked, mut packed) = (None, None);
    structure(rest, PAGE, &mut |field, value| match field {
        UNPACKED => unpacked = Some(value),
        PACKED => packed = Some(value),
        _ => {}
    })?;
    Some(Sizes { unpacked: size(unpacked?)?, packed: size(packed?)? })
}

/// Takes a structure of these fields; `found` is given their whole numbers as they are written.
fn structure(rest: &mut &[u8], fields: &[Holds], found: &mut dyn FnMut(i16, u64)) -> Option<()> {
    let mut field = 0;
    loop {
        let kind = field_header(rest, &mut field)?;
        if kind == kind::STOP {
            return Some(());
        }
        let holds = fields.get(usize::try_from(field).ok()?.checked_sub(1)?)?;
        match (holds, kind) {
            (Holds::I32, kind::I32) | (Holds::I64, kind::I64) => found(field, number(rest)?),
            // Its kind is its value.
            (Holds::Boolean, kind::TRUE | kind::FALSE) => {}
            (Holds::Binary, kind::BINARY) => {
                let length = number(rest)?;
                take(rest, length)?;
            }
            (Holds::Structure(fields), kind::STRUCTURE) => {
                structure(rest, fields, &mut |_, _| {})?;
            }
            _ => return None,
        }
    }
}

/// Takes the header of the field behind another and returns the kind of its value.
fn field_header(rest: &mut &[u8], field: &mut i16) -> Option<u8> {
    let byte = byte(rest)?;
    let (ahead, kind) = (byte >> 4, byte & 0xf);
    if kind != kind::STOP {
        // A number that is not just ahead is written out.
        let next = if ahead == 0 {
            i16::try_from(positive(number(rest)?)?).ok()?
        } else {
            field.checked_add(ahead.into())?
        };
        *field = Some(next).filter(|next| next > field)?;
    }
    Some(kind)
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, behind) = rest.split_first()?;
    *rest = behind;
    Some(*first)
}

fn take(rest: &mut &[u8], length: u64) -> Option<()> {
    *rest = rest.get(usize::try_from(length).ok()?..)?;
    Some(())
}

/// Takes a number of at most ten groups of seven bits.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for group in 0..10 {
        let byte = byte(rest)?;
        value |= u64::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A number as it is written that may be negative, and must not be.
fn positive(written: u64) -> Option<u64> {
    (written & 1 == 0).then_some(written >> 1)
}

/// A size as it is written; the decoder cuts it to 32 bits.
fn size(written: u64) -> Option<u64> {
    positive(written).filter(|size| i32::try_from(*size).is_ok())
}

#[cfg(test)]
mod tests {
    use super::check;
    use proptest::prelude::{any, prop, proptest};

    /// What a header of a data page says about its values.
    const ABOUT: [u8; 10] = [0x2c, 0x15, 0x02, 0x15, 0x00, 0x15, 0x06, 0x15, 0x06, 0x00];

    /// A data page: its kind, its sizes, a structure about its values, and more fields.
    fn page_with(unpacked: &[u8], packed: &[u8], more: &[u8], body: usize) -> Vec<u8> {
        let sizes = [&[0x15, 0x00, 0x15][..], unpacked, &[0x15], packed].concat();
        [&sizes[..], &ABOUT, more, &[0x00], &vec![0; body]].concat()
    }

    fn page(unpacked: &[u8], packed: &[u8], body: usize) -> Vec<u8> {
        page_with(unpacked, packed, &[], body)
    }

    #[test]
    fn pages_are_walked_to_the_end_of_their_column() {
        let two = [page(&[0x14], &[0x08], 4), page(&[0x14], &[0x00], 0)].concat();
        assert_eq!(check(&two), Ok(()));
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&two[..two.len() - 1]), Err("a page header cannot be read"));
        assert_eq!(check(&page(&[0x14], &[0x08], 3)), Err("a page ends beyond its column"));
        assert_eq!(check(&page(&[0x13], &[0x00], 0)), Err("a page header cannot be read"));
    }

    #[test]
    fn a_page_that_claims_gigabytes_is_refused() {
        let huge = page(&[0xfe, 0xff, 0xff, 0xff, 0x0f], &[0x00], 0);
        assert_eq!(check(&huge), Err("a page is larger than any that is written"));
    }

    /// 2³¹ − 1, as it is written.
    const GIGABYTES: [u8; 5] = [0xfe, 0xff, 0xff, 0xff, 0x0f];

    #[test]
    fn a_size_that_is_said_again_is_refused() {
        // Fields 2 and 3 behind field 5, as 16, 32 and 64 bits, and as a truth that has no bytes.
        for field in [0x04, 0x06] {
            for kind in [0x04, 0x05, 0x06, 0x01] {
                let again = [&[kind, field][..], &GIGABYTES].concat();
                let twice = page_with(&[0x14], &[0x00], &again, 0);
                assert_eq!(check(&twice), Err("a page header cannot be read"), "{field} {kind}");
            }
        }
    }

    #[test]
    fn a_field_of_another_kind_is_refused() {
        // A size of 64 bits, and a checksum that is bytes, in which another size is hidden.
        let wide = [&[0x15, 0x00, 0x16][..], &GIGABYTES, &[0x15, 0x00], &ABOUT, &[0x00]].concat();
        assert_eq!(check(&wide), Err("a page header cannot be read"));
        let hidden =
            [&[0x15, 0x00, 0x15, 0x14, 0x15, 0x00, 0x18, 0x07, 0x06, 0x04][..], &GIGABYTES];
        let hidden = [&hidden.concat()[..], &[0x1c], &ABOUT[1..], &[0x00]].concat();
        assert_eq!(check(&hidden), Err("a page header cannot be read"));
    }

    #[test]
    fn a_field_that_no_header_has_is_refused() {
        // 2¹⁶ + 2, 0, −2, and 9 with a list of seven truths, for which the decoder takes no byte.
        for more in [
            &[&[0x06, 0x84, 0x80, 0x08][..], &GIGABYTES].concat()[..],
            &[0x05, 0x00, 0x02],
            &[0x05, 0x03, 0x02],
            &[&[0x49, 0x72, 0x06, 0x04][..], &GIGABYTES].concat(),
        ] {
            let odd = page_with(&[0x14], &[0x00], more, 0);
            assert_eq!(check(&odd), Err("a page header cannot be read"), "{more:?}");
        }
    }

    #[test]
    fn whatever_a_page_header_may_hold_is_read() {
        // A negative checksum, a dictionary that is sorted, and statistics.
        let dictionary = [0x15, 0x04, 0x15, 0x08, 0x15, 0x04, 0x15, 0x01, 0x3c, 0x15, 0x02];
        let dictionary = [&dictionary[..], &[0x15, 0x00, 0x11, 0x00, 0x00, 9, 9]].concat();
        assert_eq!(check(&dictionary), Ok(()));
        let statistics = [0x1c, 0x18, 0x01, 7, 0x18, 0x00, 0x16, 0x02, 0x00];
        let with = [&[0x15, 0x00, 0x15, 0x14, 0x15, 0x02][..], &ABOUT[..9], &statistics];
        let with = [&with.concat()[..], &[0x00, 0x00, 9]].concat();
        assert_eq!(check(&with), Ok(()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = check(&bytes);
        }
    }
}
