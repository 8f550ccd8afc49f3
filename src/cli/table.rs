//! Lists for people and for programs.

use unicode_width::UnicodeWidthStr;

use super::printable::printable_line;

/// How a list is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Columns with a heading.
    #[default]
    Table,
    /// A JSON object a line.
    Json,
}

/// The flag for it.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct FormatFlag {
    /// How to print it: table for people, json (an object a line) for programs.
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub format: Format,
}

/// Writes rows under a heading, each column as wide as its widest cell.
pub(super) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = heading.map(UnicodeWidthStr::width);
    let cells = |row: &[String; N]| row.each_ref().map(|cell| printable_line(cell));
    let rows: Vec<[String; N]> = rows.iter().map(cells).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let mut out = String::new();
    let heading = heading.map(str::to_owned);
    for row in std::iter::once(&heading).chain(&rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.width() + 3));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_line_up() {
        let rows = [
            ["字".to_owned(), "1".to_owned()],
            ["long\tn\u{7}me".to_owned(), String::new()],
        ];
        assert_eq!(
            table(["NAME", "SIZE"], &rows),
            "NAME           SIZE\n字             1\nlong    n\u{fffd}me\n"
        );
    }
}
