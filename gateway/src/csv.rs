//! Lines of comma-separated values after RFC 4180, of text that may be hostile.
//!
//! A line ends with CR LF. A cell that a spreadsheet might run as a formula gets a leading `'`; one that holds a comma, a quotation mark
//! or a control character stands in quotation marks.

/// The end of a line.
pub const END: &[u8] = b"\r\n";

/// Appends a line of these cells.
pub fn line(text: &mut Vec<u8>, cells: &[&str]) {
    for (n, one) in cells.iter().enumerate() {
        if n > 0 {
            text.push(b',');
        }
        cell(text, one.as_bytes());
    }
    text.extend_from_slice(END);
}

/// Appends one cell.
pub fn cell(text: &mut Vec<u8>, cell: &[u8]) {
    let mark: &[u8] = if is_formula(cell) { b"'" } else { b"" };
    if !cell.iter().any(|byte| matches!(byte, b',' | b'"' | ..b' ' | 0x7f)) {
        text.extend_from_slice(mark);
        text.extend_from_slice(cell);
        return;
    }
    text.push(b'"');
    text.extend_from_slice(mark);
    for part in cell.split_inclusive(|byte| *byte == b'"') {
        text.extend_from_slice(part);
        if part.ends_with(b"\"") {
            text.push(b'"');
        }
    }
    text.push(b'"');
}

/// Whether a spreadsheet may take a cell for a formula: by what it begins with, also in the full width of East Asian writing (`＝＋－＠`),
/// or because it drops control characters that stand before that.
const fn is_formula(cell: &[u8]) -> bool {
    matches!(
        cell,
        [b'=' | b'+' | b'-' | b'@' | ..b' ' | 0x7f, ..] | [0xef, 0xbc, 0x9d | 0x8b | 0x8d | 0xa0, ..]
    )
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn written(cells: &[&str]) -> String {
        let mut text = Vec::new();
        line(&mut text, cells);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_cell_is_never_a_formula() {
        assert_eq!(written(&["=1+1", "+a", "-b", "@c", "d", ""]), "'=1+1,'+a,'-b,'@c,d,\r\n");
        assert_eq!(
            written(&["\t=1", "\r=1", "\n=1", "＝1", "＠1"]),
            "\"'\t=1\",\"'\r=1\",\"'\n=1\",'＝1,'＠1\r\n"
        );
        assert_eq!(written(&["a=1", " =1", "’", "＃"]), "a=1, =1,’,＃\r\n");
    }

    #[test]
    fn what_would_end_a_cell_stands_in_quotation_marks() {
        assert_eq!(written(&["a,b", "say \"hi\"", "=x,y"]), "\"a,b\",\"say \"\"hi\"\"\",\"'=x,y\"\r\n");
        assert_eq!(
            written(&["\"", "\"\"", "a\nb", "\u{1b}[2J"]),
            "\"\"\"\",\"\"\"\"\"\",\"a\nb\",\"'\u{1b}[2J\"\r\n"
        );
    }

    proptest! {
        #[test]
        fn a_reader_finds_the_cells_that_were_written(cells in vec(any::<String>(), 1..9)) {
            let mut text = Vec::new();
            line(&mut text, &cells.iter().map(String::as_str).collect::<Vec<_>>());
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&text[..]);
            let read: Vec<_> = reader.records().map(Result::unwrap).collect();
            let marked = cells.iter().map(|cell| if is_formula(cell.as_bytes()) { format!("'{cell}") } else { cell.clone() });
            let marked: Vec<_> = marked.collect();
            // A line with nothing in it is no line to a reader.
            if marked != [""] {
                prop_assert_eq!(read, vec![csv::StringRecord::from(marked)]);
            }
        }
    }
}
