//! Tables with Docker's spacing: columns at least ten wide, three spaces apart, the last one
//! unpadded.

/// Rows under a header.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    narrowest: usize,
}

/// Between columns.
const GAP: usize = 3;

impl Table {
    /// A table with its header.
    pub(crate) fn new(header: &[&str]) -> Self {
        Self::with_narrowest(header, 10)
    }

    /// A table whose columns are at least `narrowest` wide, gap included.
    pub(crate) fn with_narrowest(header: &[&str], narrowest: usize) -> Self {
        Self {
            rows: vec![header.iter().map(|&cell| cell.to_owned()).collect()],
            narrowest,
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// All of it, each line ended.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                let widest = cells.map(|cell| width(cell)).max().unwrap_or(0);
                (widest + GAP).max(self.narrowest)
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                text.push_str(cell);
                if column + 1 < row.len() {
                    text.extend(std::iter::repeat_n(' ', widths[column] - width(cell)));
                }
            }
            text.push('\n');
        }
        text
    }
}

/// Columns on a terminal: wide East Asian characters take two.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Columns that one character takes.
pub(crate) fn char_width(char: char) -> usize {
    match u32::from(char) {
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spacing_is_dockers() {
        let mut table = Table::new(&["CONTAINER ID", "IMAGE", "NAMES"]);
        table.row(vec!["0123456789ab".into(), "busybox".into(), "한글".into()]);
        assert_eq!(
            table.render(),
            "CONTAINER ID   IMAGE     NAMES\n0123456789ab   busybox   한글\n"
        );
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut table = Table::new(&["A", "B"]);
        table.row(vec!["이미지이미지".into(), "x".into()]);
        assert_eq!(table.render(), "A              B\n이미지이미지   x\n");
    }
}
