//! The plain progress of a build: `#5 [2/4] RUN …`, `#5 0.123 output`, `#5 CACHED`, `#5 DONE 1.2s`.

/// What one build wrote to standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log<'a>(pub(crate) &'a str);

/// An instruction that changes the file system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Work {
    /// As in `[stage 2/4] RUN true`.
    pub(crate) name: String,
    /// Whether it came from the cache.
    pub(crate) cached: bool,
}

impl<'a> Log<'a> {
    /// The number, with its `#`, of the vertex whose name begins so.
    pub(crate) fn vertex(&self, name: &str) -> &'a str {
        self.0
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(_, text)| text.starts_with(name))
            .unwrap_or_else(|| panic!("no {name} in\n{}", self.0))
            .0
    }

    /// The positions of the first and the last line that the vertex wrote.
    pub(crate) fn extent(&self, vertex: &str) -> (usize, usize) {
        let lines: Vec<usize> = self.lines_of(vertex).map(|(at, _)| at).collect();
        (*lines.first().unwrap(), *lines.last().unwrap())
    }

    /// The instructions that change the file system, in order of name.
    pub(crate) fn work(&self) -> Vec<Work> {
        let named = self.0.lines().filter_map(|line| line.split_once(' '));
        let mut work: Vec<Work> = named
            .filter(|(number, text)| number.starts_with('#') && is_work(text))
            .map(|(number, name)| Work {
                name: name.to_owned(),
                cached: self.lines_of(number).any(|(_, text)| text == "CACHED"),
            })
            .collect();
        work.sort();
        work.dedup();
        work
    }

    fn lines_of(&self, vertex: &str) -> impl Iterator<Item = (usize, &'a str)> {
        let lines = self.0.lines().enumerate();
        let split = lines.filter_map(|(at, line)| line.split_once(' ').map(|parts| (at, parts)));
        split
            .filter(move |(_, (number, _))| *number == vertex)
            .map(|(at, (_, text))| (at, text))
    }
}

fn is_work(text: &str) -> bool {
    let name = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "));
    let word = name.and_then(|(_, instruction)| instruction.split(' ').next());
    word.is_some_and(|word| ["RUN", "COPY", "ADD", "WORKDIR"].contains(&word))
}

/// Fails unless the first build did all the work and the second the same without doing any.
pub(crate) fn assert_all_cached(first: &str, again: &str) {
    let (first, again) = (Log(first).work(), Log(again).work());
    assert!(!first.is_empty(), "the first build names no instruction");
    let found: Vec<&Work> = first.iter().filter(|work| work.cached).collect();
    assert!(found.is_empty(), "the first build found {found:?}");
    let expected: Vec<Work> = first
        .into_iter()
        .map(|work| Work {
            cached: true,
            ..work
        })
        .collect();
    assert_eq!(again, expected);
}

#[test]
fn a_log_is_read() {
    let first = "#1 [internal] load build definition from Dockerfile\n\
                 #2 [a 2/2] RUN true\n#3 [b 2/3] COPY . .\n#2 0.1 output\n#3 DONE 0.0s\n\
                 #2 DONE 0.2s\n";
    let log = Log(first);
    assert_eq!(log.extent(log.vertex("[a 2/2] RUN")), (1, 5));
    let names: Vec<String> = log.work().into_iter().map(|work| work.name).collect();
    assert_eq!(names, ["[a 2/2] RUN true", "[b 2/3] COPY . ."]);
    let again = "#2 [b 2/3] COPY . .\n#2 CACHED\n\n#3 [a 2/2] RUN true\n#3 CACHED\n";
    assert_all_cached(first, again);
}
