//! Splitting the lexed text into words.

/// Collects words; white space ends one unless it was quoted, escaped or part of a word's start.
#[derive(Debug, Default)]
pub(super) struct Words {
    done: Vec<String>,
    word: String,
    in_word: bool,
}

impl Words {
    /// Adds text in which white space separates words.
    pub(super) fn split(&mut self, text: &str) {
        for char in text.chars() {
            if !char.is_whitespace() {
                self.word.push(char);
                self.in_word = true;
            } else if self.in_word && !self.word.is_empty() {
                self.done.push(std::mem::take(&mut self.word));
                self.in_word = false;
            }
        }
    }

    /// Adds text that belongs to one word, white space included.
    pub(super) fn join(&mut self, text: &str) {
        self.word.push_str(text);
        self.in_word = true;
    }

    /// Drops the word so far. BuildKit does so at each substitution with a word of its own
    /// (`a${b:-c}` is split into just `c`), and word for word is how `EXPOSE` is read.
    pub(super) fn forget(&mut self) {
        self.word.clear();
    }

    /// The words.
    pub(super) fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.done.push(self.word);
        }
        self.done
    }
}
