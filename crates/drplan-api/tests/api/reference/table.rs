//! Markdown tables.

/// A table; columns without any entry are left out.
pub(super) fn table(page: &mut String, header: &[&str], rows: Vec<Vec<String>>) {
    let used: Vec<usize> = (0..header.len())
        .filter(|column| rows.iter().any(|row| !row[*column].is_empty()))
        .collect();
    line(page, used.iter().map(|column| header[*column]));
    page.push_str(&format!("|{}\n", "---|".repeat(used.len())));
    for row in &rows {
        line(page, used.iter().map(|column| row[*column].as_str()));
    }
}

fn line<'a>(page: &mut String, cells: impl Iterator<Item = &'a str>) {
    page.push('|');
    for cell in cells.map(|cell| cell.replace('|', "\\|")) {
        page.push_str(if cell.is_empty() { "" } else { " " });
        page.push_str(&cell);
        page.push_str(" |");
    }
    page.push('\n');
}
