//! Rows and columns of text in any of the formats that have rows.

use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{ContentArrangement, Table, TableStyle};

/// A heading and rows of as many cells.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// A grid without rows.
    pub(crate) fn new<T: Into<String>>(heading: impl IntoIterator<Item = T>) -> Grid {
        Grid { heading: heading.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Aligned columns.
    pub(crate) fn table(&self) -> String {
        arranged(NOTHING, &self.heading, &self.rows)
    }

    /// A Markdown table.
    pub(crate) fn markdown(&self) -> String {
        // A bar in a cell would end it.
        let escaped = |cells: &Vec<String>| -> Vec<String> {
            cells.iter().map(|cell| cell.replace('|', "\\|")).collect()
        };
        let rows: Vec<Vec<String>> = self.rows.iter().map(escaped).collect();
        arranged(ASCII_MARKDOWN, &escaped(&self.heading), &rows)
    }

    /// Comma-separated values with a header (RFC 4180).
    pub(crate) fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in std::iter::once(&self.heading).chain(&self.rows) {
            writer
                .write_record(row)
                .expect("rows are as long as the heading, and memory takes them");
        }
        let bytes = writer.into_inner().expect("memory can be flushed");
        String::from_utf8(bytes).expect("cells are text")
    }
}

fn arranged(style: TableStyle, heading: &[String], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(style).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heading).add_rows(rows);
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::Grid;

    #[test]
    fn cells_keep_their_meaning_in_every_format() {
        let mut grid = Grid::new(["name", "note"]);
        grid.row(vec!["a|b".into(), "one, \"two\"".into()]);
        assert_eq!(grid.csv(), "name,note\na|b,\"one, \"\"two\"\"\"\n");
        assert!(grid.markdown().contains(r"| a\|b | one, "), "{}", grid.markdown());
        assert!(grid.table().contains("a|b"), "{}", grid.table());
    }
}
