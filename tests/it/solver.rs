//! The solver with a worker that only remembers: no Linux, no files, no network.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rbuild::cache::Cache;
use rbuild::cache::CacheKey;
use rbuild::cache::InputKey;
use rbuild::cache::Record;
use rbuild::graph::ContextOp;
use rbuild::graph::CopyOp;
use rbuild::graph::CopySource;
use rbuild::graph::ExecOp;
use rbuild::graph::Graph;
use rbuild::graph::HttpOp;
use rbuild::graph::MkdirOp;
use rbuild::graph::Network;
use rbuild::graph::Op;
use rbuild::graph::Security;
use rbuild::graph::Vertex;
use rbuild::graph::VertexId;
use rbuild::progress::Event;
use rbuild::progress::Sink;
use rbuild::snapshot::SnapshotId;
use rbuild::solver;
use rbuild::solver::Cancel;
use rbuild::solver::ChangeSet;
use rbuild::solver::Error;
use rbuild::solver::Job;
use rbuild::solver::Marked;
use rbuild::solver::Options;
use rbuild::solver::Solved;

use crate::support::memory::Memory;
use crate::support::wait::wait_until;
use crate::support::worker::Behaviour;
use crate::support::worker::Failure;
use crate::support::worker::Fake;
use crate::support::worker::image;
use crate::support::worker::layer;

/// A graph under construction.
#[derive(Default)]
struct Plan {
    graph: Graph,
}

impl Plan {
    fn add(&mut self, name: &str, op: Op, inputs: &[VertexId], uncached: bool) -> VertexId {
        let vertex = Vertex {
            op,
            name: name.to_owned(),
            lines: (1, 1),
            uncached,
        };
        self.graph.add(vertex, inputs)
    }

    fn scratch(&mut self) -> VertexId {
        self.add("scratch", Op::Scratch, &[], false)
    }

    fn image(&mut self, name: &str) -> VertexId {
        self.add(name, image(name), &[], false)
    }

    fn context(&mut self) -> VertexId {
        let op = Op::Context(ContextOp {
            name: String::new(),
            ignore: Vec::new(),
        });
        self.add("context", op, &[], false)
    }

    fn run(&mut self, name: &str, base: VertexId) -> VertexId {
        self.add(name, run(name), &[base], false)
    }

    fn run_uncached(&mut self, name: &str, base: VertexId) -> VertexId {
        self.add(name, run(name), &[base], true)
    }

    /// The same work to the eye, but another command.
    fn run_changed(&mut self, name: &str, command: &str, base: VertexId) -> VertexId {
        self.add(name, run(command), &[base], false)
    }

    fn copy(&mut self, name: &str, base: VertexId, from: &[VertexId]) -> VertexId {
        let inputs: Vec<VertexId> = [&[base], from].concat();
        self.add(name, copy(from.len(), false), &inputs, false)
    }

    fn link(&mut self, name: &str, base: VertexId, from: &[VertexId]) -> VertexId {
        let inputs: Vec<VertexId> = [&[base], from].concat();
        self.add(name, copy(from.len(), true), &inputs, false)
    }

    fn http(&mut self, name: &str) -> VertexId {
        let op = Op::Http(HttpOp {
            url: format!("http://localhost/{name}"),
            file_name: name.to_owned(),
            checksum: None,
        });
        self.add(name, op, &[], false)
    }
}

fn run(command: &str) -> Op {
    Op::Exec(ExecOp {
        args: vec![command.to_owned()],
        env: Vec::new(),
        hidden_env: Vec::new(),
        cwd: "/".to_owned(),
        user: String::new(),
        hostname: String::new(),
        network: Network::Default,
        security: Security::Sandbox,
        mounts: Vec::new(),
        extra_hosts: Vec::new(),
        shm_size_bytes: None,
        ulimits: Vec::new(),
    })
}

fn copy(sources: usize, link: bool) -> Op {
    let sources = (1..=sources).map(|input| CopySource::Path {
        input,
        path: "/".to_owned(),
        unpack: false,
    });
    Op::Copy(CopyOp {
        sources: sources.collect(),
        destination: "/".to_owned(),
        owner: None,
        mode: None,
        excludes: Vec::new(),
        parents: false,
        link,
    })
}

/// A cache and a worker that outlive single solves.
struct Bench {
    cache: Arc<Memory>,
    worker: Arc<Fake>,
    events: Arc<Mutex<Vec<Event>>>,
    options: Options,
}

impl Bench {
    fn new() -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let options = Options {
            jobs: NonZeroUsize::new(8),
            packing: None,
            cancel: Cancel::new(),
            sink: Sink::new(move |event| seen.lock().unwrap().push(event)),
        };
        Self {
            cache: Arc::default(),
            worker: Arc::default(),
            events,
            options,
        }
    }

    fn packing() -> Self {
        let mut bench = Self::new();
        bench.options.packing = Some("gzip".to_owned());
        bench
    }

    fn job<'a>(&'a self, plan: &'a Plan, targets: &[VertexId]) -> Job<'a, Memory, Fake> {
        Job {
            graph: &plan.graph,
            targets: targets.to_vec(),
            cache: &self.cache,
            worker: &self.worker,
            options: &self.options,
        }
    }

    fn solve(&self, plan: &Plan, target: VertexId) -> Result<Solved, Error<Failure>> {
        let solved = self.solve_all(plan, &[target])?;
        Ok(solved.into_iter().next().unwrap())
    }

    fn solve_all(&self, plan: &Plan, targets: &[VertexId]) -> Result<Vec<Solved>, Error<Failure>> {
        let job = self.job(plan, targets);
        match solver::mark(&job)? {
            Marked::Solved(solved) => Ok(solved),
            Marked::Work(work) => {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(solver::schedule(&job, work))
            }
        }
    }

    /// Solves what is all in the cache.
    fn solve_warm(&self, plan: &Plan, target: VertexId) -> Solved {
        match solver::mark(&self.job(plan, &[target])).unwrap() {
            Marked::Solved(mut solved) => solved.remove(0),
            Marked::Work(_) => panic!("something is left to do"),
        }
    }

    /// Gives what the user was shown, and forgets it.
    fn take_shown(&self) -> Vec<String> {
        let mut names = std::collections::HashMap::new();
        let events = std::mem::take(&mut *self.events.lock().unwrap());
        let shown = events.into_iter().map(|event| match event {
            Event::Started { step, name } => {
                names.insert(step, name.to_string());
                format!("started {name}")
            }
            Event::Cached { name, .. } => format!("cached {name}"),
            Event::Done { step } => format!("done {}", names[&step]),
            Event::Failed { step, message } => format!("failed {}: {message}", names[&step]),
            Event::Canceled { step } => format!("canceled {}", names[&step]),
            Event::Warning { message } => format!("warning {message}"),
            other => format!("{other:?}"),
        });
        shown.collect()
    }
}

fn chain(solved: &Solved) -> Vec<String> {
    let chain = solved.output.chain().iter();
    let names = chain.map(|change_set| match change_set {
        ChangeSet::Layer(diff_id) => diff_id.to_string(),
        ChangeSet::Made(id) => id.to_string(),
    });
    names.collect()
}

#[test]
fn independent_vertices_run_at_the_same_time() {
    let bench = Bench::new();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let a = plan.run("a", scratch);
    let b = plan.run("b", scratch);
    let both = plan.copy("both", scratch, &[a, b]);
    bench.worker.meet(&["a", "b"]);
    bench.solve(&plan, both).unwrap();
    let log = bench.worker.take_log();
    assert_eq!(log.last().unwrap(), "end both");
    let begun = log.iter().position(|line| line == "begin both").unwrap();
    for ended in ["end a", "end b"] {
        assert!(log.iter().position(|line| line == ended).unwrap() < begun);
    }
}

#[test]
fn targets_share_what_they_both_need_and_have_layers_of_their_own() {
    let bench = Bench::packing();
    let mut plan = Plan::default();
    let base = plan.image("base");
    let shared = plan.run("shared", base);
    let one = plan.run("one", shared);
    let other = plan.run("other", shared);
    let solved = bench.solve_all(&plan, &[one, other, shared]).unwrap();
    let log = bench.worker.take_log();
    let begun = log.iter().filter(|line| *line == "begin shared");
    assert_eq!(begun.count(), 1, "{log:?}");
    let counts: Vec<usize> = solved.iter().map(|solved| solved.layers.len()).collect();
    let base_layers = solved[2].layers.len() - 1;
    assert_eq!(counts, [base_layers + 2, base_layers + 2, base_layers + 1]);
    assert_eq!(
        solved[0].layers[..=base_layers],
        solved[1].layers[..=base_layers]
    );
    assert_ne!(chain(&solved[0]), chain(&solved[1]));
    let again = bench.solve_all(&plan, &[other, one]).unwrap();
    assert_eq!(again[0].layers, solved[1].layers);
    assert!(bench.worker.take_log().is_empty());
}

#[test]
fn no_more_run_than_there_are_jobs() {
    let mut bench = Bench::new();
    bench.options.jobs = NonZeroUsize::new(3);
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let names: Vec<String> = (0..9).map(|number| format!("v{number}")).collect();
    let mut stages = Vec::new();
    for name in &names {
        let takes = Duration::from_millis(30);
        let behaviour = Behaviour {
            takes,
            ..Behaviour::default()
        };
        bench.worker.behave(name, behaviour);
        stages.push(plan.run(name, scratch));
    }
    let all = plan.copy("all", scratch, &stages);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    bench.worker.meet_by(3, &names);
    bench.solve(&plan, all).unwrap();
    assert_eq!(bench.worker.most_running.load(Ordering::SeqCst), 3);
}

#[test]
fn a_vertex_runs_once_however_many_need_it() {
    let bench = Bench::new();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let top = plan.run("top", scratch);
    let left = plan.run("left", top);
    let right = plan.run("right", top);
    let bottom = plan.copy("bottom", left, &[right, top, left]);
    bench.solve(&plan, bottom).unwrap();
    assert_eq!(
        bench.worker.take_executed(),
        ["bottom", "left", "right", "top"]
    );
}

#[test]
fn a_second_solve_runs_nothing_and_shows_it_in_order() {
    let bench = Bench::packing();
    let mut plan = Plan::default();
    let base = plan.image("base");
    let a = plan.run("a", base);
    let b = plan.run("b", a);
    let first = bench.solve(&plan, b).unwrap();
    assert_eq!(first.layers.len(), 3);
    assert_eq!(first.layers[0], layer("base"));
    bench.worker.take_log();
    bench.take_shown();
    let second = bench.solve_warm(&plan, b);
    assert_eq!(second.layers, first.layers);
    assert_eq!(chain(&second), chain(&first));
    assert_eq!(second.output.key, first.output.key);
    assert_eq!(bench.take_shown(), ["cached base", "cached a", "cached b"]);
    assert_eq!(bench.worker.take_log(), Vec::<String>::new());
}

#[test]
fn a_hit_hides_what_only_it_needs() {
    let bench = Bench::new();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let tools = plan.image("tools");
    let build = plan.run("build", tools);
    let target = plan.copy("target", scratch, &[build]);
    bench.solve(&plan, target).unwrap();
    bench.worker.take_log();
    bench
        .worker
        .gone
        .lock()
        .unwrap()
        .insert("build-0".to_owned());
    bench.solve_warm(&plan, target);
    assert_eq!(bench.worker.take_log(), Vec::<String>::new());
}

#[test]
fn a_chain_is_whole_or_done_again_from_the_gap_up() {
    let bench = Bench::new();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let a = plan.run("a", scratch);
    let b = plan.run("b", a);
    let c = plan.run("c", b);
    bench.solve(&plan, c).unwrap();
    bench.worker.take_log();
    // Made again it is the same, so that what lies on it still fits.
    bench.worker.gone.lock().unwrap().insert("b-1".to_owned());
    let solved = bench.solve(&plan, c).unwrap();
    assert_eq!(bench.worker.take_executed(), ["b"]);
    assert_eq!(chain(&solved), ["a-0", "b-3", "c-2"]);
    // Made again it is something else, so that nothing that lay on it fits.
    bench.worker.gone.lock().unwrap().insert("a-0".to_owned());
    let behaviour = Behaviour {
        content: Some("another".to_owned()),
        ..Behaviour::default()
    };
    bench.worker.behave("a", behaviour);
    bench.solve(&plan, c).unwrap();
    assert_eq!(bench.worker.take_executed(), ["a", "b", "c"]);
    bench.solve_warm(&plan, c);
}

#[test]
fn the_first_failure_stops_the_rest_and_waits_for_it() {
    let bench = Bench::new();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let slow = plan.run("slow", scratch);
    let bad = plan.run("bad", scratch);
    let target = plan.copy("target", scratch, &[slow, bad]);
    bench.worker.meet(&["slow", "bad"]);
    let lasts = Behaviour {
        lasts: Some(Duration::from_millis(100)),
        ..Behaviour::default()
    };
    bench.worker.behave("slow", lasts);
    let fails = Behaviour {
        fails: true,
        ..Behaviour::default()
    };
    bench.worker.behave("bad", fails);
    let error = bench.solve(&plan, target).unwrap_err();
    assert!(
        matches!(&error, Error::Execute { name, source, .. } if name == "bad" && **source == Failure::Told),
        "{error}"
    );
    let log = bench.worker.take_log();
    assert_eq!(log.last().unwrap(), "end slow");
    assert!(!log.contains(&"begin target".to_owned()));
    let shown = bench.take_shown();
    assert!(shown.contains(&"failed bad: failed as told".to_owned()));
    assert_eq!(shown.last().unwrap(), "canceled slow");
}

#[test]
fn what_succeeded_beside_a_failure_is_not_lost() {
    let bench = Bench::new();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let good = plan.run("good", scratch);
    let bad = plan.run("bad", scratch);
    let target = plan.copy("target", scratch, &[good, bad]);
    bench.worker.meet(&["good", "bad"]);
    let slow = Behaviour {
        takes: Duration::from_millis(50),
        ..Behaviour::default()
    };
    bench.worker.behave("good", slow);
    let fails = Behaviour {
        fails: true,
        ..Behaviour::default()
    };
    bench.worker.behave("bad", fails);
    bench.solve(&plan, target).unwrap_err();
    bench.worker.take_log();
    *bench.worker.meeting.lock().unwrap() = None;
    bench.worker.behave("bad", Behaviour::default());
    bench.solve(&plan, target).unwrap();
    assert_eq!(bench.worker.take_executed(), ["bad", "target"]);
}

#[test]
fn the_user_can_stop_it() {
    let bench = Bench::new();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let a = plan.run("a", scratch);
    let b = plan.run("b", a);
    let lasts = Behaviour {
        lasts: Some(Duration::from_millis(20)),
        ..Behaviour::default()
    };
    bench.worker.behave("a", lasts);
    let cancel = bench.options.cancel.clone();
    let worker = Arc::clone(&bench.worker);
    let wish = std::thread::spawn(move || {
        wait_until("it has begun", || worker.has_noted("begin a"));
        cancel.cancel();
    });
    let error = bench.solve(&plan, b).unwrap_err();
    wish.join().unwrap();
    assert!(matches!(error, Error::Canceled), "{error}");
    assert_eq!(bench.worker.take_log(), ["begin a", "end a"]);
    assert_eq!(bench.take_shown(), ["started a", "canceled a"]);
}

#[test]
fn uncached_vertices_run_and_are_kept_for_later() {
    let bench = Bench::new();
    let mut cached = Plan::default();
    let scratch = cached.scratch();
    let a = cached.run("a", scratch);
    let b = cached.run("b", a);
    bench.solve(&cached, b).unwrap();
    bench.worker.take_log();

    let mut uncached = Plan::default();
    let scratch = uncached.scratch();
    let a = uncached.run_uncached("a", scratch);
    let b = uncached.run("b", a);
    // What it makes is the same, so what needs it is a hit by content.
    let solved = bench.solve(&uncached, b).unwrap();
    assert_eq!(bench.worker.take_executed(), ["a"]);
    assert_eq!(chain(&solved), ["a-2", "b-1"]);
    let warm = bench.solve_warm(&cached, b);
    assert_eq!(chain(&warm), ["a-2", "b-1"]);
}

#[test]
fn a_command_that_changed_without_effect_changes_nothing_after_it() {
    let bench = Bench::packing();
    let mut before = Plan::default();
    let base = before.image("base");
    let a = before.run("a", base);
    let b = before.run("b", a);
    let first = bench.solve(&before, b).unwrap();
    bench.worker.take_log();
    bench.take_shown();

    let mut after = Plan::default();
    let base = after.image("base");
    let a = after.run_changed("a", "a # with a comment", base);
    let b = after.run("b", a);
    let second = bench.solve(&after, b).unwrap();
    assert_eq!(chain(&second), chain(&first));
    assert_eq!(second.layers, first.layers);
    assert_eq!(
        bench.worker.take_log(),
        ["unpack base", "begin a", "end a", "discard a"]
    );
    let shown = bench.take_shown();
    assert_eq!(&shown[shown.len() - 2..], ["done a", "cached b"]);
    bench.solve_warm(&after, b);
}

#[test]
fn other_times_are_in_the_image_and_change_nothing_after_it() {
    let bench = Bench::packing();
    let solve = |command: &str, times: &str| {
        let dated = Behaviour {
            times: Some(times.to_owned()),
            ..Behaviour::default()
        };
        bench.worker.behave("a", dated);
        let mut plan = Plan::default();
        let scratch = plan.scratch();
        let a = plan.run_changed("a", command, scratch);
        let b = plan.run("b", a);
        let solved = bench.solve(&plan, b).unwrap();
        bench.solve_warm(&plan, b);
        chain(&solved)
    };
    assert_eq!(solve("one", "2020"), ["a-0", "b-1"]);
    assert_eq!(solve("two", "2021"), ["a-2", "b-1"]);
    assert_eq!(solve("three", "2021"), ["a-2", "b-1"]);
    assert_eq!(solve("one", "2020"), ["a-0", "b-1"]);
}

#[test]
fn what_another_process_was_faster_to_do_is_taken() {
    let bench = Bench::packing();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let a = plan.run("a", scratch);
    let slow = Behaviour {
        until: Some("theirs is there".to_owned()),
        ..Behaviour::default()
    };
    bench.worker.behave("a", slow);
    let base = CacheKey::of_op(&Op::Scratch, &[]);
    let key = CacheKey::of_op(&run("a"), &[InputKey::Key(base)]);
    let theirs = Record {
        change_set: SnapshotId::new("theirs").unwrap(),
        content: None,
        times: None,
        base: Some(base),
        components: Vec::new(),
        facts: Vec::new(),
    };
    let (cache, worker) = (Arc::clone(&bench.cache), Arc::clone(&bench.worker));
    let other = std::thread::spawn(move || {
        wait_until("it has begun", || worker.has_noted("begin a"));
        cache.put(&key, &theirs).unwrap();
        worker.note("theirs is there".to_owned());
    });
    let solved = bench.solve(&plan, a).unwrap();
    other.join().unwrap();
    assert_eq!(chain(&solved), ["theirs"]);
    assert_eq!(solved.layers, [layer("theirs")]);
    let log = bench.worker.take_log();
    let expected = [
        "begin a",
        "theirs is there",
        "end a",
        "discard a",
        "layer a",
    ];
    assert_eq!(log, expected);
}

#[test]
fn where_content_is_not_known_what_ran_again_is_new() {
    let bench = Bench::new();
    let unknown = Behaviour {
        content: Some(String::new()),
        ..Behaviour::default()
    };
    bench.worker.behave("a", unknown);
    let mut before = Plan::default();
    let scratch = before.scratch();
    let a = before.run("a", scratch);
    let b = before.run("b", a);
    bench.solve(&before, b).unwrap();
    bench.worker.take_log();
    bench.solve_warm(&before, b);

    let mut after = Plan::default();
    let scratch = after.scratch();
    let a = after.run_changed("a", "a # with a comment", scratch);
    let b = after.run("b", a);
    bench.solve(&after, b).unwrap();
    assert_eq!(bench.worker.take_executed(), ["a", "b"]);
}

#[test]
fn a_copy_from_a_stage_is_a_hit_by_what_it_selects() {
    let bench = Bench::new();
    let solve = |command: &str, content: &str, selected: &str| {
        let behaviour = Behaviour {
            content: Some(content.to_owned()),
            ..Behaviour::default()
        };
        bench.worker.behave("build", behaviour);
        bench.worker.select("target", 1, selected);
        let mut plan = Plan::default();
        let scratch = plan.scratch();
        let build = plan.run_changed("build", command, scratch);
        let target = plan.copy("target", scratch, &[build]);
        bench.solve(&plan, target).unwrap();
        bench.worker.take_executed()
    };
    assert_eq!(solve("one", "one", "program"), ["build", "target"]);
    assert_eq!(solve("two", "two", "program"), ["build"]);
    // Found by content, it is known by definition from then on.
    assert_eq!(solve("two", "two", "not asked"), Vec::<String>::new());
    assert_eq!(solve("three", "three", "other"), ["build", "target"]);
}

#[test]
fn a_copy_from_the_context_is_keyed_by_what_it_selects() {
    let bench = Bench::new();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let context = plan.context();
    let a = plan.copy("a", scratch, &[context]);
    let b = plan.run("b", a);
    bench.worker.select("a", 1, "files");
    bench.solve(&plan, b).unwrap();
    assert_eq!(bench.worker.take_executed(), ["a", "b"]);
    bench.solve_warm(&plan, b);
    assert_eq!(bench.worker.take_log(), ["content a 1"]);
    bench.worker.select("a", 1, "changed files");
    bench.solve(&plan, b).unwrap();
    // The files differ, but what was copied is said to be the same.
    assert_eq!(bench.worker.take_executed(), ["a"]);
    bench.worker.select("a", 1, "missing");
    bench.take_shown();
    let error = bench.solve(&plan, b).unwrap_err();
    assert!(matches!(&error, Error::Content { name, .. } if name == "a"));
    assert_eq!(
        bench.take_shown(),
        ["started a", "failed a: failed as told"]
    );
}

#[test]
fn what_was_made_of_a_context_that_changed_meanwhile_is_no_hit() {
    let bench = Bench::new();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let context = plan.context();
    let before = plan.run("before", scratch);
    let a = plan.copy("a", before, &[context]);
    let b = plan.run("b", a);
    let changes = Behaviour {
        selects: Some(("a".to_owned(), 1, "other files".to_owned())),
        ..Behaviour::default()
    };
    bench.worker.behave("before", changes);
    bench.worker.select("a", 1, "files");
    let known = Behaviour {
        content: Some("made of other files".to_owned()),
        ..Behaviour::default()
    };
    bench.worker.behave("a", known);
    let first = bench.solve(&plan, b).unwrap();
    assert_eq!(chain(&first), ["before-0", "a-1", "b-2"]);
    bench.worker.take_log();

    bench.worker.select("a", 1, "files");
    bench.worker.behave("a", Behaviour::default());
    bench.solve(&plan, b).unwrap();
    assert_eq!(bench.worker.take_executed(), ["a", "b"]);
    bench.solve_warm(&plan, b);
    bench.worker.select("a", 1, "other files");
    bench.solve(&plan, b).unwrap();
    assert_eq!(bench.worker.take_executed(), ["a"]);
}

#[test]
fn a_context_that_cannot_be_digested_is_never_a_hit() {
    let bench = Bench::new();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let context = plan.context();
    let a = plan.copy("a", scratch, &[context]);
    let b = plan.run("b", a);
    bench.solve(&plan, b).unwrap();
    assert_eq!(bench.worker.take_executed(), ["a", "b"]);
    bench.solve(&plan, b).unwrap();
    assert_eq!(bench.worker.take_executed(), ["a"]);
}

#[test]
fn a_download_is_asked_for_each_time_and_counts_by_content() {
    let bench = Bench::new();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let file = plan.http("file");
    let add = plan.copy("add", scratch, &[file]);
    let run = plan.run("run", add);
    bench.worker.select("add", 1, "version 1");
    bench.solve(&plan, run).unwrap();
    assert_eq!(bench.worker.take_executed(), ["add", "file", "run"]);
    assert_eq!(bench.worker.tasks.lock().unwrap()[0].previous, None);
    bench.worker.tasks.lock().unwrap().clear();

    bench.solve(&plan, run).unwrap();
    assert_eq!(bench.worker.take_executed(), ["file"]);
    let previous = bench.worker.tasks.lock().unwrap()[0]
        .previous
        .clone()
        .unwrap();
    assert_eq!(previous.facts[0].1, "file");

    bench.worker.select("add", 1, "version 2");
    let changed = Behaviour {
        content: Some("version 2".to_owned()),
        ..Behaviour::default()
    };
    bench.worker.behave("file", changed.clone());
    bench.worker.behave("add", changed);
    bench.solve(&plan, run).unwrap();
    assert_eq!(bench.worker.take_executed(), ["add", "file", "run"]);
}

#[test]
fn an_image_is_unpacked_once_and_only_if_its_files_are_needed() {
    let bench = Bench::packing();
    let mut plan = Plan::default();
    let base = plan.image("base");
    let context = plan.context();
    bench.worker.select("link", 1, "files");
    let link = plan.link("link", base, &[context]);
    bench.solve(&plan, link).unwrap();
    assert_eq!(
        bench.worker.take_log(),
        [
            "content link 1",
            "begin link",
            "end link",
            "content link 1",
            "layer link on nothing"
        ]
    );
    assert!(bench.take_shown().contains(&"cached base".to_owned()));

    let a = plan.run("a", link);
    let b = plan.run("b", base);
    let target = plan.copy("target", a, &[b]);
    bench.solve(&plan, target).unwrap();
    let log = bench.worker.take_log();
    let unpacked = log.iter().filter(|line| *line == "unpack base").count();
    assert_eq!(unpacked, 1);
    let shown = bench.take_shown();
    assert!(shown.contains(&"started base".to_owned()));
    assert!(!shown.contains(&"cached base".to_owned()));
}

#[test]
fn an_image_that_cannot_be_pulled_fails_once() {
    let bench = Bench::new();
    let mut plan = Plan::default();
    let base = plan.image("base");
    let a = plan.run("a", base);
    let b = plan.run("b", base);
    let target = plan.copy("target", base, &[a, b]);
    let fails = Behaviour {
        fails: true,
        takes: Duration::from_millis(20),
        ..Behaviour::default()
    };
    bench.worker.behave("base", fails);
    let error = bench.solve(&plan, target).unwrap_err();
    assert!(matches!(&error, Error::Execute { name, .. } if name == "base"));
    assert_eq!(bench.worker.take_log(), ["unpack base"]);
    let expected = ["started base", "failed base: failed as told"];
    assert_eq!(bench.take_shown(), expected);
}

#[test]
fn a_linked_copy_is_a_hit_on_any_base() {
    let bench = Bench::new();
    bench.worker.select("link", 1, "files");
    for (base, executed) in [("one", vec!["link"]), ("two", vec![])] {
        let mut plan = Plan::default();
        let base = plan.image(base);
        let context = plan.context();
        let link = plan.link("link", base, &[context]);
        bench.solve(&plan, link).unwrap();
        assert_eq!(bench.worker.take_executed(), executed);
    }
}

#[test]
fn layers_are_packed_while_later_vertices_run() {
    let bench = Bench::packing();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let a = plan.run("a", scratch);
    let b = plan.run("b", a);
    let side = plan.run("side", scratch);
    let c = plan.copy("c", b, &[side]);
    let slow = Behaviour {
        until: Some("layer a".to_owned()),
        ..Behaviour::default()
    };
    bench.worker.behave("b", slow);
    let solved = bench.solve(&plan, c).unwrap();
    let names: Vec<String> = solved
        .layers
        .iter()
        .map(|layer| layer.blob.media_type.clone())
        .collect();
    assert_eq!(names, chain(&solved));
    let log = bench.worker.take_log();
    let at = |line: &str| log.iter().position(|known| known == line);
    assert!(at("layer a").unwrap() < at("end b").unwrap(), "{log:?}");
    assert_eq!(at("layer side"), None);
    let tasks = bench.worker.tasks.lock().unwrap().clone();
    for told in tasks {
        assert_eq!(told.is_needed, told.name != "c", "{told:?}");
        assert_eq!(told.is_exported, told.name != "side", "{told:?}");
    }
}

#[test]
fn a_lost_layer_or_another_packing_packs_again_without_running() {
    let mut bench = Bench::packing();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let a = plan.run("a", scratch);
    let b = plan.run("b", a);
    bench.solve(&plan, b).unwrap();
    bench.worker.take_log();
    bench.options.packing = Some("zstd".to_owned());
    bench.solve(&plan, b).unwrap();
    let mut log = bench.worker.take_log();
    log.sort();
    assert_eq!(log, ["layer a", "layer b"]);
    bench.worker.gone.lock().unwrap().insert("a-0".to_owned());
    bench
        .cache
        .records
        .lock()
        .unwrap()
        .retain(|_, record| record.change_set.as_str() != "a-0");
    bench.options.packing = None;
    bench.solve(&plan, b).unwrap();
    assert_eq!(bench.worker.take_executed(), ["a"]);
}

#[test]
fn what_is_packed_again_has_its_image_unpacked_unless_it_is_linked() {
    let mut bench = Bench::packing();
    let mut plan = Plan::default();
    let base = plan.image("base");
    let context = plan.context();
    bench.worker.select("link", 1, "files");
    let link = plan.link("link", base, &[context]);
    let a = plan.run("a", link);
    bench.solve(&plan, a).unwrap();
    bench.worker.take_log();
    bench.options.packing = Some("zstd".to_owned());
    bench.solve(&plan, link).unwrap();
    let log = bench.worker.take_log();
    assert_eq!(log, ["content link 1", "layer link on nothing"]);
    bench.take_shown();
    bench.solve(&plan, a).unwrap();
    let log = bench.worker.take_log();
    assert_eq!(log, ["content link 1", "unpack base", "layer a"]);
    let shown = bench.take_shown();
    let expected = ["cached link", "cached a", "started base", "done base"];
    assert_eq!(shown, expected);
}

#[test]
fn a_layer_that_cannot_be_packed_is_a_failure() {
    let bench = Bench::packing();
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let a = plan.run("a", scratch);
    bench
        .worker
        .unpackable
        .lock()
        .unwrap()
        .insert("a".to_owned());
    let error = bench.solve(&plan, a).unwrap_err();
    assert!(matches!(&error, Error::Layer { name, .. } if name == "a"));
}

#[test]
fn a_broken_cache_costs_time_but_no_build() {
    let bench = Bench::packing();
    bench.cache.is_broken.store(true, Ordering::SeqCst);
    let mut plan = Plan::default();
    let scratch = plan.scratch();
    let a = plan.run("a", scratch);
    for _ in 0..2 {
        let solved = bench.solve(&plan, a).unwrap();
        assert_eq!(solved.layers.len(), 1);
        assert_eq!(bench.worker.take_executed(), ["a"]);
    }
    let shown = bench.take_shown();
    let warning = "warning the cache cannot be used: cannot read /broken: Input/output error";
    let warnings = shown.iter().filter(|line| line.starts_with(warning));
    // Once when it is asked, once when it is told, in each of two solves.
    assert_eq!(warnings.count(), 4, "{shown:?}");
}

#[test]
fn a_very_long_chain_needs_no_deep_stack() {
    let bench = Bench::packing();
    let mut plan = Plan::default();
    let mut top = plan.scratch();
    for number in 0..1000 {
        let op = Op::Mkdir(MkdirOp {
            path: format!("/{number}"),
            owner: String::new(),
        });
        top = plan.add(&format!("v{number}"), op, &[top], false);
    }
    let solved = bench.solve(&plan, top).unwrap();
    assert_eq!(solved.layers.len(), 1000);
    assert_eq!(bench.solve_warm(&plan, top).layers, solved.layers);
}
