//! Text of others, such as a Dockerfile's, as it may be written to a terminal.

/// Replaces what would move the cursor, ring, or change colours and titles: control characters
/// but line ends and tabs.
pub(super) fn printable(text: &str) -> String {
    let is_harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    let visible = |c| if is_harmless(c) { c } else { '\u{fffd}' };
    text.chars().map(visible).collect()
}

/// The same for what stands in one line: it ends none, and each tab is four columns wide.
pub(super) fn printable_line(line: &str) -> String {
    printable(&line.replace('\t', "    ")).replace('\n', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::printable;
    use super::printable_line;

    #[test]
    fn a_text_moves_no_cursor() {
        let text = "é\ta\u{1b}]0;x\u{7}\r\n\u{7f}b\u{9b}31m";
        assert_eq!(
            printable(text),
            "é\ta\u{fffd}]0;x\u{fffd}\u{fffd}\n\u{fffd}b\u{fffd}31m"
        );
        assert_eq!(
            printable_line("a\tb\u{1b}[31m\u{7}\n"),
            "a    b\u{fffd}[31m\u{fffd}\u{fffd}"
        );
    }
}
