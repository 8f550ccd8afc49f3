//! Secrets stay secret: after builds that use every kind, none is in the store, in what rbuild
//! wrote, or on a command line.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::Feature;
use crate::support::RUNS_BUSYBOX;
use crate::support::home::Home;
use crate::support::home::Output;
use crate::support::home::RBUILD;
use crate::support::home::fail_with;
use crate::support::home::output;
use crate::support::home::succeed;
use crate::support::registry::Demand;
use crate::support::registry::FakeRegistry;
use crate::support::require;
use crate::support::tree::shell;
use crate::support::wire::Answer;
use crate::support::wire::Request;
use crate::support::wire::read_request;
use crate::support::wire::send;

const FILE: &str = "s3cret-of-a-file";
const LENT: &str = "s3cret-of-a-variable";
const HTTP_TOKEN: &str = "s3cret-token-for-files";
const GIT_TOKEN: &str = "s3cret-token-for-git";
const IN_URL: &str = "s3cret-in-a-url";
const PROXY: &str = "s3cret-of-a-proxy";
const BUNDLE: &str = "s3cret-mark-in-a-bundle";

const DOCKERFILE: &str = r#"FROM REGISTRY/base:v1
RUN --mount=type=secret,id=file --mount=type=secret,id=lent,env=LENT [ -s /run/secrets/file ] && [ -n "$LENT" ]
RUN --mount=type=ssh [ -S "$SSH_AUTH_SOCK" ]
RUN [ -n "$HTTPS_PROXY" ] && [ -s "$SSL_CERT_FILE" ]
ADD http://SERVER/file /file
ADD http://someone:s3cret-in-a-url@SERVER/file /other
ADD --keep-git-dir=true http://SERVER/repo.git /repo
ADD --keep-git-dir=true http://someone:s3cret-in-a-url@SERVER/repo.git /again
"#;

/// Everything that must be nowhere: the secrets, and how they look on the wire.
fn secrets(home: &Home) -> Vec<String> {
    let key = fs::read_to_string(home.path("key")).unwrap();
    let encoded = |text: String| STANDARD.encode(text);
    let mut all: Vec<String> = [FILE, LENT, HTTP_TOKEN, GIT_TOKEN, IN_URL, PROXY, BUNDLE]
        .map(str::to_owned)
        .to_vec();
    all.push(key.lines().nth(2).unwrap().to_owned());
    // What the fake registry asks for.
    all.push(encoded("user:password".to_owned()));
    all.push(encoded(format!("someone:{IN_URL}")));
    all.push(encoded(format!("x-access-token:{GIT_TOKEN}")));
    all
}

/// A web server with a file and a repository for those who bring a token or a password.
struct Server {
    address: String,
    authorizations: Arc<Mutex<BTreeSet<String>>>,
}

impl Server {
    fn start(folder: &Path) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server {
            address: listener.local_addr().unwrap().to_string(),
            authorizations: Arc::default(),
        };
        let (folder, seen) = (folder.to_owned(), Arc::clone(&server.authorizations));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, seen) = (folder.clone(), Arc::clone(&seen));
                thread::spawn(move || while serve(&stream, &folder, &seen).is_some() {});
            }
        });
        server
    }
}

fn serve(stream: &TcpStream, folder: &Path, seen: &Mutex<BTreeSet<String>>) -> Option<()> {
    let request = read_request(stream)?;
    let answer = match request.headers.get("authorization") {
        None => {
            let demand = ("www-authenticate".to_owned(), "Basic realm=x".to_owned());
            (401, vec![demand], Vec::new())
        }
        Some(given) => {
            seen.lock().unwrap().insert(given.clone());
            match request.path() {
                "/file" => (200, Vec::new(), b"data".to_vec()),
                path if path.starts_with("/repo.git") => git(&request, folder),
                _ => (404, Vec::new(), Vec::new()),
            }
        }
    };
    send(stream, &request, answer, None)
}

/// Lets git itself answer, by the protocol that web servers start programs with.
fn git(request: &Request, folder: &Path) -> Answer {
    let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
    let query = request.target.split_once('?').map_or("", |parts| parts.1);
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", folder)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", request.path())
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", &request.method)
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&request.body)
        .unwrap();
    let said = child.wait_with_output().unwrap().stdout;
    let end = said
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8_lossy(&said[..end]).into_owned();
    let pairs = head.lines().filter_map(|line| line.split_once(": "));
    let mut headers: Vec<(String, String)> = pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    headers.retain(|(name, _)| name != "Status");
    (200, headers, said[end + 4..].to_vec())
}

/// Looks at all command lines until told to stop; gives those with a secret on them, but for those
/// of rbuild itself, which are its user's.
fn watch(secrets: &[String], stop: &AtomicBool) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    while !stop.load(Ordering::SeqCst) {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let has_one = secrets.iter().any(|secret| line.contains(secret.as_str()));
            if has_one && !line.starts_with(RBUILD) {
                found.insert(line);
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    found
}

#[test]
fn no_secret_is_left_anywhere() {
    let needed = [
        Feature::Root,
        Feature::Namespaces,
        Feature::Program("busybox"),
        Feature::Program("git"),
        Feature::Program("ssh-agent"),
        Feature::Program("ssh-keygen"),
    ];
    if !require(&needed) {
        return;
    }
    let home = Home::new();
    let registry = FakeRegistry::start(Demand::Password);
    let server = prepare(&home, &registry);
    let secrets = secrets(&home);
    let patterns = home.write("patterns", &format!("{}\n", secrets.join("\n")));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stopping = Stop(&stop);
        let watching = scope.spawn(|| watch(&secrets, &stop));
        for progress in ["plain", "tty", "rawjson", "quiet"] {
            let pushed = format!("{}/app:v1", registry.host());
            let mut build = build(&home, &server, progress);
            assert_tells_nothing(
                &secrets,
                &succeed(build.args(["--push", "-t", &pushed, "."])),
            );
        }
        // Where something fails, more is told.
        for dockerfile in [
            "FROM scratch\nADD http://someone:s3cret-in-a-url@SERVER/missing /x\n",
            "FROM scratch\nADD http://someone:s3cret-in-a-url@SERVER/repo.git#missing /x\n",
            "FROM scratch\nADD http://someone:s3cret-in-a-url@127.0.0.1:1/x /x\n",
            "FROM scratch\nADD --checksum=sha256:ZEROS http://someone:s3cret-in-a-url@SERVER/file /x\n",
            "FROM scratch\nADD --checksum=0000000 http://someone:s3cret-in-a-url@SERVER/repo.git /x\n",
        ] {
            let dockerfile = dockerfile.replace("ZEROS", &"0".repeat(64));
            home.context(&dockerfile.replace("SERVER", &server.address));
            let failed = fail_with(4, build(&home, &server, "plain").arg("."));
            assert_tells_nothing(&secrets, &failed);
        }
        let told = output(
            home.rbuild()
                .args(["history", "--format", "json", "app:v1"]),
        );
        assert_tells_nothing(&secrets, &told);
        drop(stopping);
        let lines = watching.join().unwrap();
        assert!(lines.is_empty(), "on a command line: {lines:#?}");
    });
    assert_all_were_used(&server);
    assert_not_stored(&home, &patterns);
}

/// Ends the watching, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Makes the repository, the key, the files of secrets, the base image and the context.
fn prepare(home: &Home, registry: &FakeRegistry) -> Server {
    shell(
        &home.path(""),
        "ssh-keygen -q -t ed25519 -N '' -C tests -f key
         git init -q -b main work; cd work; echo x > f; git add f
         git -c user.name=x -c user.email=x@x commit -q -m x; cd ..
         git clone -q --bare work repo.git",
    );
    let auth = STANDARD.encode("user:password");
    let config = format!(
        "{{\"auths\": {{{:?}: {{\"auth\": {auth:?}}}}}}}",
        registry.host()
    );
    home.write("docker/config.json", &config);
    home.write("file", FILE);
    home.write("bundle.pem", &format!("# {BUNDLE}\n"));
    let base = home.write(
        "base/Dockerfile",
        "FROM scratch\nCOPY --from=host busybox /bin/busybox\n\
         RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/bin\n",
    );
    let name = format!("{}/base:v1", registry.host());
    let mut build = home.build(base.parent().unwrap());
    succeed(build.args(["--build-context", "host=/bin", "--push", "-t", &name]));
    fs::remove_dir_all(home.path("root")).unwrap();
    let server = Server::start(&home.path(""));
    let dockerfile = DOCKERFILE.replace("REGISTRY", &registry.host());
    home.context(&dockerfile.replace("SERVER", &server.address));
    server
}

/// A build of the context that is lent everything there is.
fn build(home: &Home, server: &Server, progress: &str) -> Command {
    let mut command = home.rbuild();
    command.current_dir(home.path("context"));
    let address = &server.address;
    let proxy = format!("HTTPS_PROXY=http://someone:{PROXY}@127.0.0.1:1");
    let arguments = [
        "build",
        "--no-cache",
        &format!("--progress={progress}"),
        "--secret=id=file,src=../file",
        "--secret=id=lent,env=LENT",
        &format!("--secret=id=HTTP_AUTH_TOKEN_{address},env=HTTP_TOKEN"),
        &format!("--secret=id=GIT_AUTH_TOKEN.{address},env=GIT_TOKEN"),
        "--ssh=default=../key",
        "--ca-bundle=../bundle.pem",
        &format!("--build-arg={proxy}"),
    ];
    command
        .args(arguments)
        .env("LENT", LENT)
        .env("HTTP_TOKEN", HTTP_TOKEN)
        .env("GIT_TOKEN", GIT_TOKEN);
    command
}

#[track_caller]
fn assert_tells_nothing(secrets: &[String], output: &Output) {
    for secret in secrets {
        for text in [&output.stdout, &output.stderr] {
            assert!(!text.contains(secret), "{secret} is told:\n{text}");
        }
    }
}

/// A secret that nobody used would prove nothing.
fn assert_all_were_used(server: &Server) {
    let seen = server.authorizations.lock().unwrap();
    for expected in [
        format!("Bearer {HTTP_TOKEN}"),
        format!(
            "basic {}",
            STANDARD.encode(format!("x-access-token:{GIT_TOKEN}"))
        ),
        format!("Basic {}", STANDARD.encode(format!("someone:{IN_URL}"))),
    ] {
        assert!(
            seen.contains(&expected),
            "{expected} was not used: {seen:?}"
        );
    }
}

/// Searches the whole store, and its blobs decompressed.
fn assert_not_stored(home: &Home, patterns: &Path) {
    let search = format!(
        "grep -rlaF --devices=skip -f {0} root || true
         for blob in root/blobs/sha256/*; do
             zcat -f $blob 2>/dev/null | grep -qaF -f {0} && echo $blob || true
         done",
        patterns.display()
    );
    let found = shell(&home.path(""), &search);
    assert_eq!(found, "", "stored");
}

#[test]
fn no_core_file_tells_of_secrets() {
    if !require(&RUNS_BUSYBOX) {
        return;
    }
    let home = Home::new();
    home.context("FROM scratch\nCOPY --from=host busybox /bin/sh\nRUN ulimit -Sc\n");
    let build = home.rbuild();
    let mut command = Command::new("sh");
    let script = "ulimit -Sc $(ulimit -Hc) && exec \"$@\"";
    command.args(["-c", script, "sh", RBUILD, "build", "--progress=plain"]);
    command.args(["--build-context=host=/bin", "context"]);
    command.current_dir(home.path(""));
    for (name, value) in build.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let told = succeed(&mut command).stderr;
    let is_limit = |line: &str| line.starts_with("#3 ") && line.ends_with(" 0");
    assert!(told.lines().any(is_limit), "{told}");
}
