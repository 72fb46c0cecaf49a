//! The ledger as an Apache Parquet file, for pandas, Polars, `DuckDB` and this program.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, Encoding};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{DataType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{ChunkReader, FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, SchemaDescriptor, TypePtr};

use super::error::RecordError;
use super::ledger::{LEDGER_ROW_LIMIT, Ledger};
use super::{parquet_pages, plain, shield};
use crate::units::Bytes;

/// The largest file that is read: a ledger of as many rows as are kept is 280 MB, if nothing of it
/// can be packed.
const LARGEST_LEDGER: Bytes = Bytes(512 << 20);

/// The largest footer that is decoded, in bytes; one that is written takes a few thousand. For each
/// of its bytes the decoder may make room for a whole row group.
const LARGEST_FOOTER: u32 = 1 << 20;

/// Rows that are encoded together; a reader needs memory for one group at a time.
const ROWS_PER_GROUP: usize = 1_000_000;

/// Rows that are decoded together.
const ROWS_PER_READ: usize = 1 << 16;

const SCHEMA: &str = "message ledger {
    required int32 subscriber (integer(32, false));
    required int64 sequence;
    required int64 due;
    required int64 emitted;
    optional int64 arrived;
    optional int64 usable;
    required int32 copies (integer(32, false));
}";

/// What a stranger needs to know to use the file, by key.
const DOCUMENTATION: &[(&str, &str)] = &[
    ("pollpush.schema", "pollpush/ledger/1"),
    ("unit", "nanoseconds after the trial's epoch, the moment its schedule starts"),
    ("row", "one simulated subscriber and event; ordered by sequence, then subscriber"),
    ("subscriber", "the simulated subscriber, counted from zero"),
    ("sequence", "the event's sequence number, counted from one"),
    ("due", "when the schedule wanted the event"),
    ("emitted", "when it entered the source's log"),
    ("arrived", "when the first copy's last byte was at the subscriber; null if lost"),
    ("usable", "when the first copy was verified, parsed and deduplicated; null if lost"),
    ("copies", "copies that arrived"),
    ("latency", "usable - due"),
    ("lag", "emitted - due: the harness's own lateness, part of every latency"),
];

/// Encodes a ledger.
///
/// # Errors
///
/// When a number does not fit into the file: times and sequence numbers end at 2^63.
pub fn encode(ledger: &Ledger) -> Result<Vec<u8>> {
    let mut file = SerializedFileWriter::new(Vec::new(), schema()?, Arc::new(properties()))?;
    for start in (0..ledger.rows()).step_by(ROWS_PER_GROUP) {
        let rows = start..ledger.rows().min(start + ROWS_PER_GROUP);
        let mut group = file.next_row_group()?;
        write_u32(&mut group, &ledger.subscriber[rows.clone()])?;
        write_u64(&mut group, &ledger.sequence[rows.clone()])?;
        write_u64(&mut group, &ledger.due[rows.clone()])?;
        write_u64(&mut group, &ledger.emitted[rows.clone()])?;
        write_optional(&mut group, &ledger.arrived[rows.clone()])?;
        write_optional(&mut group, &ledger.usable[rows.clone()])?;
        write_u32(&mut group, &ledger.copies[rows])?;
        group.close()?;
    }
    file.into_inner()
}

/// Reads a ledger and checks it.
///
/// # Errors
///
/// When the file cannot be opened, is no plain file, is no ledger, is larger than any that is written, or
/// contradicts itself.
pub(crate) fn read(path: &Path) -> std::result::Result<Ledger, RecordError> {
    let file = plain::open(path, LARGEST_LEDGER)?;
    let twin = file.try_clone().map_err(RecordError::reading(path))?;
    decode(file, &twin).map_err(|message| RecordError::damaged(path, &message))
}

/// Decodes a ledger in memory and checks it.
///
/// # Errors
///
/// As a file: when it is no ledger, is larger than any that is written, or contradicts itself.
pub fn decode_bytes(bytes: Vec<u8>) -> std::result::Result<Ledger, String> {
    let bytes = bytes::Bytes::from(bytes);
    decode(bytes.clone(), &bytes)
}

/// `twin` is the same file again.
fn decode<R: ChunkReader + 'static>(file: R, twin: &R) -> std::result::Result<Ledger, String> {
    // The reader asserts what a damaged footer can contradict, such as that offsets are positive.
    let ledger = shield::guarded(|| decode_columns(file, twin))
        .ok_or_else(|| "its footer contradicts itself".to_owned())?
        .map_err(|error| error.to_string())?;
    ledger.check().map_err(|error| error.to_string())?;
    Ok(ledger)
}

fn decode_columns<R: ChunkReader + 'static>(file: R, twin: &R) -> Result<Ledger> {
    refuse_large_footers(twin)?;
    let reader = SerializedFileReader::new(file)?;
    refuse_other_schemas(reader.metadata().file_metadata().schema_descr())?;
    let mut ledger = Ledger::default();
    for index in 0..reader.num_row_groups() {
        let group = reader.get_row_group(index)?;
        let rows = usize::try_from(group.metadata().num_rows()).map_err(external)?;
        // The claim of a file is checked before memory is filled on its behalf.
        if LEDGER_ROW_LIMIT - ledger.rows() < rows {
            return Err(ParquetError::General(format!("more than {LEDGER_ROW_LIMIT} rows")));
        }
        for column in group.metadata().columns() {
            let (start, length) = column.byte_range();
            if start.checked_add(length).is_none_or(|end| end > twin.len()) {
                return Err(ParquetError::General("a column ends beyond the file".to_owned()));
            }
            let bytes = twin.get_bytes(start, usize::try_from(length).map_err(external)?)?;
            let refused = |what: &str| ParquetError::General(what.to_owned());
            parquet_pages::check(&bytes).map_err(refused)?;
        }
        let rows = 0..rows;
        read_u32(&*group, 0, &rows, &mut ledger.subscriber)?;
        read_u64(&*group, 1, &rows, &mut ledger.sequence)?;
        read_u64(&*group, 2, &rows, &mut ledger.due)?;
        read_u64(&*group, 3, &rows, &mut ledger.emitted)?;
        read_optional(&*group, 4, &rows, &mut ledger.arrived)?;
        read_optional(&*group, 5, &rows, &mut ledger.usable)?;
        read_u32(&*group, 6, &rows, &mut ledger.copies)?;
    }
    Ok(ledger)
}

fn schema() -> Result<TypePtr> {
    Ok(Arc::new(parse_message_type(SCHEMA)?))
}

fn properties() -> WriterProperties {
    let documentation = DOCUMENTATION
        .iter()
        .map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned()))
        .collect();
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("pollpush ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_key_value_metadata(Some(documentation));
    // Rising numbers: their differences are small, and a dictionary would only repeat them.
    for column in ["sequence", "due", "emitted", "arrived", "usable"] {
        let path = ColumnPath::from(column);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    properties.build()
}

/// The length of a footer is in the four bytes before the last four.
fn refuse_large_footers<R: ChunkReader>(file: &R) -> Result<()> {
    let Some(start) = file.len().checked_sub(8) else {
        return Err(ParquetError::General("it has no footer".to_owned()));
    };
    let end = file.get_bytes(start, 8)?;
    let length = u32::from_le_bytes([0, 1, 2, 3].map(|byte| end[byte]));
    if length > LARGEST_FOOTER {
        return Err(ParquetError::General("its footer is larger than any that is written".into()));
    }
    Ok(())
}

fn refuse_other_schemas(found: &SchemaDescriptor) -> Result<()> {
    let expected = SchemaDescriptor::new(schema()?);
    let shape = |schema: &SchemaDescriptor| -> Vec<_> {
        let column = |column: &parquet::schema::types::ColumnDescPtr| {
            let levels = (column.max_def_level(), column.max_rep_level());
            (column.path().string(), column.physical_type(), levels)
        };
        schema.columns().iter().map(column).collect()
    };
    if shape(found) == shape(&expected) {
        Ok(())
    } else {
        Err(ParquetError::General("its columns are not those of a ledger".to_owned()))
    }
}

fn external(error: std::num::TryFromIntError) -> ParquetError {
    ParquetError::External(Box::new(error))
}

type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

fn write<D: DataType>(
    group: &mut Group<'_>,
    values: &[D::T],
    levels: Option<&[i16]>,
) -> Result<()> {
    let missing = || ParquetError::General("a row group has fewer columns than the schema".into());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<D>().write_batch(values, levels, None)?;
    column.close()
}

fn write_u32(group: &mut Group<'_>, values: &[u32]) -> Result<()> {
    // The schema says unsigned; Parquet stores the same 32 bits.
    let values: Vec<i32> = values.iter().map(|value| value.cast_signed()).collect();
    write::<Int32Type>(group, &values, None)
}

fn write_u64(group: &mut Group<'_>, values: &[u64]) -> Result<()> {
    let values: Result<Vec<i64>> =
        values.iter().map(|value| i64::try_from(*value).map_err(external)).collect();
    write::<Int64Type>(group, &values?, None)
}

fn write_optional(group: &mut Group<'_>, values: &[Option<u64>]) -> Result<()> {
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let present: Result<Vec<i64>> =
        values.iter().flatten().map(|value| i64::try_from(*value).map_err(external)).collect();
    write::<Int64Type>(group, &present?, Some(&levels))
}

/// Reads exactly `rows` of a column; `take` is given the values and, per row, its level.
fn read_rows<D: DataType>(
    mut column: ColumnReaderImpl<D>,
    rows: &Range<usize>,
    mut take: impl FnMut(&[D::T], &[i16]) -> Result<()>,
) -> Result<()> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let mut done = rows.start;
    while done < rows.end {
        values.clear();
        levels.clear();
        let wanted = ROWS_PER_READ.min(rows.end - done);
        let (read, _, _) = column.read_records(wanted, Some(&mut levels), None, &mut values)?;
        if read == 0 {
            return Err(ParquetError::General("a column ends before its rows do".to_owned()));
        }
        take(&values, &levels)?;
        done += read;
    }
    Ok(())
}

fn int64(group: &dyn RowGroupReader, column: usize) -> Result<ColumnReaderImpl<Int64Type>> {
    match group.get_column_reader(column)? {
        ColumnReader::Int64ColumnReader(reader) => Ok(reader),
        _ => Err(ParquetError::General(format!("column {column} is not INT64"))),
    }
}

fn read_u32(
    group: &dyn RowGroupReader,
    column: usize,
    rows: &Range<usize>,
    into: &mut Vec<u32>,
) -> Result<()> {
    let ColumnReader::Int32ColumnReader(reader) = group.get_column_reader(column)? else {
        return Err(ParquetError::General(format!("column {column} is not INT32")));
    };
    read_rows(reader, rows, |values, _| {
        into.extend(values.iter().map(|value| value.cast_unsigned()));
        Ok(())
    })
}

fn read_u64(
    group: &dyn RowGroupReader,
    column: usize,
    rows: &Range<usize>,
    into: &mut Vec<u64>,
) -> Result<()> {
    read_rows(int64(group, column)?, rows, |values, _| {
        for value in values {
            into.push(u64::try_from(*value).map_err(external)?);
        }
        Ok(())
    })
}

fn read_optional(
    group: &dyn RowGroupReader,
    column: usize,
    rows: &Range<usize>,
    into: &mut Vec<Option<u64>>,
) -> Result<()> {
    let short = || ParquetError::General("a column has fewer values than it says".to_owned());
    read_rows(int64(group, column)?, rows, |values, levels| {
        let mut values = values.iter();
        for level in levels {
            let value = match level {
                0 => None,
                _ => Some(*values.next().ok_or_else(short)?),
            };
            into.push(value.map(u64::try_from).transpose().map_err(external)?);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::{decode_bytes, encode};
    use crate::record::ledger::Ledger;
    use bytes::Bytes;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use proptest::prelude::*;
    use std::sync::OnceLock;

    fn ledger(rows: u32) -> Ledger {
        let count = u64::from(rows);
        let arrived: Vec<Option<u64>> =
            (0..count).map(|row| (row % 5 != 3).then_some(row * 1_000 + 400)).collect();
        Ledger {
            subscriber: (0..rows).map(|row| row % 2).collect(),
            sequence: (0..count).map(|row| 1 + row / 2).collect(),
            due: (0..count).map(|row| row / 2 * 2_000).collect(),
            emitted: (0..count).map(|row| row / 2 * 2_000 + 70).collect(),
            usable: arrived.iter().map(|arrived| arrived.map(|at| at + 9)).collect(),
            copies: arrived.iter().map(|arrived| u32::from(arrived.is_some())).collect(),
            arrived,
        }
    }

    fn read_back(bytes: Vec<u8>) -> Result<Ledger, String> {
        decode_bytes(bytes)
    }

    #[test]
    fn a_ledger_reads_back_as_it_was_written() {
        for rows in [0, 1, 70_001] {
            let ledger = ledger(rows);
            assert_eq!(read_back(encode(&ledger).expect("encoded")), Ok(ledger));
        }
    }

    #[test]
    fn the_extremes_of_every_column_survive() {
        let mut ledger = ledger(1);
        ledger.subscriber[0] = u32::MAX;
        ledger.copies[0] = u32::MAX;
        ledger.sequence[0] = i64::MAX as u64;
        ledger.usable[0] = Some(i64::MAX as u64);
        assert_eq!(read_back(encode(&ledger).expect("encoded")), Ok(ledger));
    }

    #[test]
    fn a_time_beyond_the_file_format_is_an_error() {
        let mut ledger = ledger(1);
        ledger.due[0] = u64::MAX;
        assert!(encode(&ledger).is_err());
    }

    #[test]
    fn the_same_ledger_has_the_same_bytes() {
        assert_eq!(encode(&ledger(500)).expect("bytes"), encode(&ledger(500)).expect("bytes"));
    }

    /// Takes a number of groups of seven bits.
    fn number(bytes: &mut &[u8]) -> usize {
        let length = 1 + bytes.iter().take_while(|byte| **byte >= 0x80).count();
        let (groups, rest) = bytes.split_at(length);
        *bytes = rest;
        groups.iter().rev().fold(0, |value, group| value << 7 | usize::from(group & 0x7f))
    }

    #[test]
    fn a_page_that_claims_gigabytes_behind_its_first_size_is_refused() {
        let whole = encode(&ledger(4_000)).expect("encoded");
        let file = SerializedFileReader::new(Bytes::from(whole.clone())).expect("a file");
        // When events were due: one page.
        let (start, length) = file.metadata().row_group(0).column(2).byte_range();
        let [start, length] = [start, length].map(|number| usize::try_from(number).expect("small"));
        let mut sizes = &whole[start..start + length];
        // The kind of page, its size unpacked, and its size packed; all are doubled.
        let [_, _, packed] = [0; 3].map(|_| {
            assert_eq!(sizes[0], 0x15);
            sizes = &sizes[1..];
            number(&mut sizes) / 2
        });
        let behind = start + length - sizes.len();
        let body = start + length - packed;
        // The size unpacked again, of 64 bits; and field 2¹⁶ + 2, which a decoder takes for it.
        for again in [&[0x06, 0x04][..], &[0x06, 0x84, 0x80, 0x08]] {
            let again = [again, &[0xfe, 0xff, 0xff, 0xff, 0x0f]].concat();
            // The column is as long as before: its values lose what its header gains.
            let less = 2 * (packed - again.len());
            assert!((0x80..0x4000).contains(&less), "written in two groups");
            let less =
                [0x80 | (less & 0x7f), less >> 7].map(|group| u8::try_from(group).expect("7 bits"));
            let column = [
                &whole[start..behind - 2],
                &less,
                &whole[behind..body - 1],
                &again,
                &whole[body - 1..start + length - again.len()],
            ];
            let bytes = [&whole[..start], &column.concat(), &whole[start + length..]].concat();
            assert_eq!(bytes.len(), whole.len());
            let refused = read_back(bytes).expect_err("refused");
            assert!(refused.contains("a page header cannot be read"), "{refused}");
        }
    }

    #[test]
    fn a_footer_larger_than_any_that_is_written_is_not_decoded() {
        let whole = encode(&ledger(40)).expect("encoded");
        let (before, end) = whole.split_at(whole.len() - 8);
        let length = u32::from_le_bytes([0, 1, 2, 3].map(|byte| end[byte]));
        // Zeros end a footer, whatever is behind them.
        let more = (1 << 20) - length + 1;
        let longer = (length + more).to_le_bytes();
        let bytes = [before, &vec![0; more as usize], &longer, b"PAR1"].concat();
        let refused = read_back(bytes).expect_err("refused");
        assert!(refused.contains("larger than any that is written"), "{refused}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn damaged_files_are_errors_or_other_ledgers(
            place in any::<prop::sample::Index>(),
            value in any::<u8>(),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            static FILE: OnceLock<Vec<u8>> = OnceLock::new();
            let mut bytes = FILE.get_or_init(|| encode(&ledger(40)).expect("encoded")).clone();
            let place = place.index(bytes.len());
            bytes[place] = value;
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            // Whatever it makes of them, it must not panic.
            let _ = read_back(bytes);
        }
    }
}
