//! Just enough HTTP/1.1 for a registry that misbehaves on demand.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

/// Status, headers and body.
pub(crate) type Answer = (u16, Vec<(String, String)>, Vec<u8>);

/// Something to do instead of answering properly.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Answers with this status, a header and a body.
    Status(u16, &'static str, &'static str),
    /// Closes the connection without an answer.
    Close,
    /// Sends so many bytes of the body, then closes the connection.
    Cut(usize),
    /// As `Cut`, but without having said how many bytes there would be.
    CutSilently(usize),
    /// Changes one byte of the body.
    Corrupt,
    /// Sends a few bytes too many.
    Lengthen,
    /// Sends a byte, waits so long, sends the next.
    Drip(Duration),
    /// Waits before it answers.
    Delay(Duration),
    /// Waits for a request of this method whose target contains this.
    After(&'static str, String),
    /// Waits until so many requests are being answered at the same time.
    Together(usize),
    /// Sends all though a range was asked for.
    IgnoreRange,
    /// Sends the client elsewhere.
    Redirect(String),
}

/// A request as the registry saw it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn query(&self, name: &str) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        pairs(query, name)
    }
}

/// Gives the values of `name` in a query or form.
pub(crate) fn pairs(query: &str, name: &str) -> Vec<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let values = pairs.filter(|(key, _)| *key == name);
    values
        .map(|(_, value)| {
            let text = value.replace("%3A", ":").replace("%2F", "/");
            text.replace("%2C", ",").replace('+', " ")
        })
        .collect()
}

/// Reads one request; none when the connection is over.
pub(crate) fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::with_capacity(1, stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|text| text.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.into_inner().read_exact(&mut body).ok()?;
    Some(Request {
        method,
        target,
        headers,
        body,
    })
}

/// Sends the answer as the fault has it; none ends the connection.
pub(crate) fn send(
    mut stream: &TcpStream,
    request: &Request,
    answer: Answer,
    fault: Option<Fault>,
) -> Option<()> {
    let (mut status, mut headers, mut body) = answer;
    let mut keep = true;
    let mut announce = true;
    let mut drip = None;
    let mut most = usize::MAX;
    match fault {
        Some(Fault::Status(other, header, text)) => {
            status = other;
            headers = Vec::new();
            if let Some((name, value)) = header.split_once(':') {
                headers.push((name.to_owned(), value.trim().to_owned()));
            }
            body = text.as_bytes().to_vec();
        }
        Some(Fault::Redirect(place)) => {
            status = 307;
            headers = vec![("location".to_owned(), place)];
            body = Vec::new();
        }
        Some(Fault::Close) => {
            let _ = stream.shutdown(Shutdown::Both);
            return None;
        }
        Some(Fault::Cut(count)) => {
            most = count;
            keep = false;
        }
        Some(Fault::CutSilently(count)) => {
            most = count;
            keep = false;
            announce = false;
        }
        Some(Fault::Drip(delay)) => drip = Some(delay),
        Some(Fault::Corrupt) => body[0] ^= 1,
        Some(Fault::Lengthen) => body.extend_from_slice(b"and more"),
        Some(Fault::Delay(_) | Fault::After(..) | Fault::Together(_) | Fault::IgnoreRange)
        | None => {}
    }
    let mut head = format!("HTTP/1.1 {status} X\r\n");
    if announce {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    if !keep {
        head.push_str("connection: close\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    if let Some(delay) = drip {
        for byte in &body {
            stream.write_all(&[*byte]).ok()?;
            thread::sleep(delay);
        }
        return Some(());
    }
    if request.method != "HEAD" {
        stream.write_all(&body[..body.len().min(most)]).ok()?;
    }
    if !keep {
        let _ = stream.shutdown(Shutdown::Both);
        return None;
    }
    Some(())
}
