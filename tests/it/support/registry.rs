//! A registry within the test: it keeps what it is given, writes down what it is asked, and
//! misbehaves on demand.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::thread;

use rbuild::oci::Digest;

use crate::support::wait::wait_until;
use crate::support::wire::Answer;
use crate::support::wire::Fault;
use crate::support::wire::Request;
use crate::support::wire::pairs;
use crate::support::wire::read_request;
use crate::support::wire::send;

/// What the registry demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Nothing.
    Nothing,
    /// `user` and `password` with each request.
    Password,
    /// A token; without password it allows pulling only.
    Token,
}

#[derive(Debug, Default)]
struct State {
    /// By repository and digest.
    blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and tag or digest.
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    faults: Vec<(&'static str, String, u32, Fault)>,
    requests: Vec<Request>,
    tokens: Vec<(String, String)>,
    lends: bool,
    working: usize,
    most_working: usize,
}

/// The registry. Its threads end with the test.
#[derive(Clone, Debug)]
pub(crate) struct FakeRegistry {
    port: u16,
    demand: Demand,
    state: Arc<Mutex<State>>,
}

impl FakeRegistry {
    pub(crate) fn start(demand: Demand) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let registry = Self {
            port: listener.local_addr().unwrap().port(),
            demand,
            state: Arc::default(),
        };
        registry.state().lends = true;
        let served = registry.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let served = served.clone();
                thread::spawn(move || while served.serve(&stream).is_some() {});
            }
        });
        registry
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn put_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let key = (repository.to_owned(), digest.to_string());
        self.state().blobs.insert(key, bytes.to_vec());
        digest
    }

    pub(crate) fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) {
        for name in [tag.to_owned(), Digest::of(bytes).to_string()] {
            let key = (repository.to_owned(), name);
            let value = (media_type.to_owned(), bytes.to_vec());
            self.state().manifests.insert(key, value);
        }
    }

    /// Lets the next `times` requests of `method` whose path contains `part` go wrong.
    pub(crate) fn fault(&self, method: &'static str, part: &str, times: u32, fault: Fault) {
        let fault = (method, part.to_owned(), times, fault);
        self.state().faults.push(fault);
    }

    /// Forgets all tokens that were given.
    pub(crate) fn expire_tokens(&self) {
        self.state().tokens.clear();
    }

    /// Does not let one repository take over the blobs of another.
    pub(crate) fn lend_nothing(&self) {
        self.state().lends = false;
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// Counts the requests of `method` whose target contains `part`.
    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        let requests = self.requests();
        let fitting = requests.iter();
        fitting
            .filter(|request| request.method == method && request.target.contains(part))
            .count()
    }

    /// Gives how many requests were being answered at the same time, at most.
    pub(crate) fn most_at_once(&self) -> usize {
        self.state().most_working
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Serves one request; none when the connection is over.
    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let request = read_request(stream)?;
        let fault = {
            let mut state = self.state();
            state.requests.push(request.clone());
            state.working += 1;
            state.most_working = state.most_working.max(state.working);
            let mut faults = state.faults.iter_mut();
            let due = faults.find(|(method, part, times, _)| {
                *method == request.method && request.target.contains(&**part) && *times > 0
            });
            due.map(|(_, _, times, fault)| {
                *times -= 1;
                fault.clone()
            })
        };
        match &fault {
            Some(Fault::Delay(delay)) => thread::sleep(*delay),
            Some(Fault::After(method, part)) => {
                wait_until("another is asked", || self.count(method, part) > 0);
            }
            Some(Fault::Together(count)) => {
                wait_until("as many are asked", || self.most_at_once() >= *count);
            }
            _ => {}
        }
        let answer = match fault {
            Some(Fault::Status(..) | Fault::Redirect(_)) => (0, Vec::new(), Vec::new()),
            Some(Fault::IgnoreRange) => self.answer(&request, true),
            _ => self.answer(&request, false),
        };
        // Whoever has the answer may ask again at once.
        self.state().working -= 1;
        send(stream, &request, answer, fault)
    }

    fn answer(&self, request: &Request, ignore_range: bool) -> Answer {
        if request.path() == "/token" {
            return self.token(request);
        }
        let Some((repository, kind, name)) = split(request.path()) else {
            return (404, Vec::new(), Vec::new());
        };
        let action = if matches!(request.method.as_str(), "GET" | "HEAD") {
            "pull"
        } else {
            "push"
        };
        if !self.allows(request, &repository, action) {
            return self.challenge(&repository);
        }
        match (request.method.as_str(), kind.as_str()) {
            ("GET" | "HEAD", "blobs") => self.blob(request, (repository, name), ignore_range),
            ("GET" | "HEAD", "manifests") => self.manifest((repository, name)),
            ("POST", "uploads") => self.begin_upload(request, &repository),
            ("PUT", "uploads") => self.end_upload(request, repository),
            ("PUT", "manifests") => {
                let digest = Digest::of(&request.body).to_string();
                let media_type = request.headers.get("content-type").cloned();
                let tag = if name.contains(':') { &digest } else { &name };
                self.put_manifest(
                    &repository,
                    tag,
                    &media_type.unwrap_or_default(),
                    &request.body,
                );
                let header = ("docker-content-digest".to_owned(), digest);
                (201, vec![header], Vec::new())
            }
            _ => (405, Vec::new(), Vec::new()),
        }
    }

    fn blob(&self, request: &Request, key: (String, String), ignore_range: bool) -> Answer {
        let Some(bytes) = self.state().blobs.get(&key).cloned() else {
            return refuse(404, "BLOB_UNKNOWN", "blob unknown to registry");
        };
        let range = request.headers.get("range").filter(|_| !ignore_range);
        let start = range.and_then(|range| {
            let range = range.strip_prefix("bytes=")?.strip_suffix('-')?;
            range.parse::<usize>().ok()
        });
        match start {
            None => (200, Vec::new(), bytes),
            Some(start) => {
                let total = bytes.len();
                let range = format!("bytes {start}-{}/{total}", total - 1);
                let header = ("content-range".to_owned(), range);
                (206, vec![header], bytes[start..].to_vec())
            }
        }
    }

    fn manifest(&self, key: (String, String)) -> Answer {
        match self.state().manifests.get(&key) {
            None => refuse(404, "MANIFEST_UNKNOWN", "manifest unknown"),
            Some((media_type, bytes)) => {
                let headers = vec![
                    ("content-type".to_owned(), media_type.clone()),
                    (
                        "docker-content-digest".to_owned(),
                        Digest::of(bytes).to_string(),
                    ),
                ];
                (200, headers, bytes.clone())
            }
        }
    }

    fn begin_upload(&self, request: &Request, repository: &str) -> Answer {
        let mount = request.query("mount").pop();
        let from = request.query("from").pop();
        let state = self.state();
        if let (Some(digest), Some(from), true) = (mount, from, state.lends)
            && let Some(bytes) = state.blobs.get(&(from.clone(), digest.clone())).cloned()
        {
            drop(state);
            if self.allows(request, &from, "pull") {
                self.state()
                    .blobs
                    .insert((repository.to_owned(), digest), bytes);
                return (201, Vec::new(), Vec::new());
            }
        }
        let place = format!("/v2/{repository}/blobs/uploads/1?state=secret");
        (202, vec![("location".to_owned(), place)], Vec::new())
    }

    fn end_upload(&self, request: &Request, repository: String) -> Answer {
        let digest = Digest::of(&request.body).to_string();
        if request.query("digest") != [digest.clone()] || request.query("state") != ["secret"] {
            return refuse(400, "DIGEST_INVALID", "provided digest did not match");
        }
        self.state()
            .blobs
            .insert((repository, digest), request.body.clone());
        (201, Vec::new(), Vec::new())
    }

    fn token(&self, request: &Request) -> Answer {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let authorization = request.headers.get("authorization").map(String::as_str);
        let is_known = match (request.method.as_str(), authorization) {
            ("POST", _) if pairs(&form, "refresh_token") == ["identity"] => true,
            ("GET", Some(PASSWORD)) => true,
            ("GET", None) => false,
            _ => return refuse(401, "UNAUTHORIZED", "incorrect username or password"),
        };
        let mut scopes = request.query("scope");
        scopes.extend(pairs(&form, "scope"));
        let mut scopes = scopes.join(" ");
        if !is_known {
            scopes = scopes.replace(",push", "");
        }
        let mut state = self.state();
        let token = format!("token-{}", state.requests.len());
        let body = format!(r#"{{"token":"{token}","expires_in":300}}"#);
        state.tokens.push((token, scopes));
        (200, Vec::new(), body.into_bytes())
    }

    fn allows(&self, request: &Request, repository: &str, action: &str) -> bool {
        let given = request
            .headers
            .get("authorization")
            .map_or("", String::as_str);
        match self.demand {
            Demand::Nothing => true,
            Demand::Password => given == PASSWORD,
            Demand::Token => {
                let token = given.strip_prefix("Bearer ").unwrap_or_default();
                let state = self.state();
                let mut scopes = state.tokens.iter().filter(|(own, _)| own == token);
                scopes.any(|(_, scopes)| {
                    scopes.split(' ').any(|scope| {
                        let actions = scope.strip_prefix(&format!("repository:{repository}:"));
                        actions.is_some_and(|actions| actions.split(',').any(|own| own == action))
                    })
                })
            }
        }
    }

    fn challenge(&self, repository: &str) -> Answer {
        let demand = match self.demand {
            Demand::Token => format!(
                r#"Bearer realm="http://{}/token",service="fake",scope="repository:{repository}:pull""#,
                self.host()
            ),
            _ => r#"Basic realm="fake""#.to_owned(),
        };
        let (status, mut headers, body) = refuse(401, "UNAUTHORIZED", "authentication required");
        headers.push(("www-authenticate".to_owned(), demand));
        (status, headers, body)
    }
}

/// `user:password`.
const PASSWORD: &str = "Basic dXNlcjpwYXNzd29yZA==";

fn refuse(status: u16, code: &str, message: &str) -> Answer {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
    (status, Vec::new(), body.into_bytes())
}

/// Splits `/v2/<repository>/{blobs,manifests,blobs/uploads}/<name>`.
fn split(path: &str) -> Option<(String, String, String)> {
    let rest = path.strip_prefix("/v2/")?;
    for (marker, kind) in [
        ("/blobs/uploads/", "uploads"),
        ("/blobs/", "blobs"),
        ("/manifests/", "manifests"),
    ] {
        if let Some((repository, name)) = rest.split_once(marker) {
            return Some((repository.to_owned(), kind.to_owned(), name.to_owned()));
        }
    }
    None
}
