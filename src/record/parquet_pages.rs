//! The page headers of a column, held against what is written before a decoder believes them.
//!
//! The decoder fills memory for as many bytes as a page says it has when unpacked, up to 2 GiB for
//! a file of a hundred bytes. Headers are in the compact protocol of Thrift; of them only the two
//! sizes are read here.

/// The most a page takes unpacked: pages are written at 1 MiB or 20 000 rows, whichever is first.
const MOST: u64 = 8 << 20;

/// Structures inside a page header lie this deep in each other at most.
const DEEPEST: u32 = 4;

/// The kinds of values in the compact protocol.
mod kind {
    pub(super) const STOP: u8 = 0;
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I32: u8 = 5;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const STRUCT: u8 = 12;
}

/// Checks every page of a column.
///
/// # Errors
///
/// When a header cannot be read, or a page is larger than any that is written or ends beyond its
/// column.
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
    let (mut unpacked, mut packed, mut field) = (None, None, 0);
    loop {
        let kind = field_header(rest, &mut field)?;
        match (field, kind) {
            (_, kind::STOP) => return Some(Sizes { unpacked: unpacked?, packed: packed? }),
            (2, kind::I32) => unpacked = Some(signed(rest)?),
            (3, kind::I32) => packed = Some(signed(rest)?),
            _ => skip(rest, kind, DEEPEST)?,
        }
    }
}

/// Takes the header of a field and returns the kind of its value.
fn field_header(rest: &mut &[u8], field: &mut u64) -> Option<u8> {
    let byte = byte(rest)?;
    let (ahead, kind) = (byte >> 4, byte & 0xf);
    if kind != kind::STOP {
        // A number that is not just ahead is written out.
        *field = if ahead == 0 { signed(rest)? } else { field.checked_add(ahead.into())? };
    }
    Some(kind)
}

fn skip(rest: &mut &[u8], kind: u8, levels: u32) -> Option<()> {
    let below = levels.checked_sub(1)?;
    match kind {
        kind::TRUE | kind::FALSE => {}
        kind::BYTE => take(rest, 1)?,
        kind::I16 | kind::I32 | kind::I64 => {
            number(rest)?;
        }
        kind::DOUBLE => take(rest, 8)?,
        kind::BINARY => {
            let length = number(rest)?;
            take(rest, length)?;
        }
        kind::LIST | kind::SET => {
            let byte = byte(rest)?;
            let count = if byte >> 4 == 0xf { number(rest)? } else { (byte >> 4).into() };
            for _ in 0..count {
                match byte & 0xf {
                    // In a list each takes a byte.
                    kind::TRUE | kind::FALSE => take(rest, 1)?,
                    kind => skip(rest, kind, below)?,
                }
            }
        }
        kind::STRUCT => {
            let mut field = 0;
            loop {
                match field_header(rest, &mut field)? {
                    kind::STOP => break,
                    kind => skip(rest, kind, below)?,
                }
            }
        }
        _ => return None,
    }
    Some(())
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

/// Takes a number that may be negative, and must not be.
fn signed(rest: &mut &[u8]) -> Option<u64> {
    let value = number(rest)?;
    (value & 1 == 0).then_some(value >> 1)
}

#[cfg(test)]
mod tests {
    use super::check;
    use proptest::prelude::{any, prop, proptest};

    /// The header of a data page: its kind, its sizes, and a structure about its values.
    fn page(unpacked: &[u8], packed: &[u8], body: usize) -> Vec<u8> {
        let about = [0x2c, 0x15, 0x02, 0x15, 0x00, 0x15, 0x06, 0x15, 0x06, 0x00, 0x00];
        [&[0x15, 0x00, 0x15][..], unpacked, &[0x15], packed, &about, &vec![0; body]].concat()
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

    proptest! {
        #[test]
        fn any_bytes_are_walked_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = check(&bytes);
        }
    }
}
