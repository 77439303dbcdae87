//! [`StandIn`]: a server of HTTP/1.1 in this process that answers as a test wants it to, rightly or not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Method and path.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What a request gets.
#[derive(Clone)]
pub(crate) enum Answer {
    Reply {
        status: u16,
        headers: String,
        body: Vec<u8>,
    },
    /// Nothing: the connection is closed.
    HangUp,
    /// The beginning of a body that should have been longer.
    Cut(Vec<u8>),
    /// Nothing, until the other side has gone.
    Silence,
    /// A body without an end.
    Endless,
    /// The bytes of the head alone, so many milliseconds apart.
    Trickle(u64),
}

impl Answer {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200, body)
    }

    pub(crate) fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Reply { status, headers: String::new(), body: body.into() }
    }

    /// A problem as the API describes it.
    pub(crate) fn problem(status: u16, kind: &str, detail: &str) -> Self {
        let body = serde_json::json!({"type": format!("urn:sordino:problem:{kind}"), "detail": detail});
        Self::status(status, body.to_string())
    }

    /// With a line more in its head.
    pub(crate) fn with(self, header: &str) -> Self {
        match self {
            Self::Reply { status, headers, body } => {
                Self::Reply { status, headers: format!("{headers}{header}\r\n"), body }
            }
            other => other,
        }
    }
}

type Answers = dyn Fn(&Request) -> Answer + Send + Sync;

/// The server. It answers until the test ends.
pub(crate) struct StandIn {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl StandIn {
    pub(crate) fn new(answers: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answers)
    }

    pub(crate) fn on(listener: TcpListener, answers: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let (answers, asked): (Arc<Answers>, _) = (Arc::new(answers), Arc::new(Mutex::new(Vec::new())));
        let (url, log) = (format!("http://{}", listener.local_addr().unwrap()), asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, log) = (answers.clone(), log.clone());
                // A client that hangs up is nothing unusual here.
                thread::spawn(move || drop(serve(stream, &*answers, &log)));
            }
        });
        Self { url, asked }
    }

    /// Everything that was asked so far.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// Methods and paths of everything that was asked so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Request::line).collect()
    }
}

fn serve(mut stream: TcpStream, answers: &Answers, log: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    let mut line = || {
        let mut line = String::new();
        input.read_line(&mut line).map(|_| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    while let Some((name, value)) = line()?.split_once(':') {
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { method, path, headers, body: Vec::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    if request.header("expect").is_some() {
        // As a server does that refuses what it need not read.
        if let refusal @ Answer::Reply { status: 400.., .. } = answers(&request) {
            log.lock().unwrap().push(request);
            return answer(&mut stream, refusal);
        }
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    input.take(length).read_to_end(&mut request.body)?;
    let answered = answers(&request);
    log.lock().unwrap().push(request);
    answer(&mut stream, answered)
}

fn answer(stream: &mut TcpStream, answer: Answer) -> std::io::Result<()> {
    match answer {
        Answer::Reply { status, headers, body } => {
            let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
            stream.write_all(format!("{head}{headers}\r\n").as_bytes())?;
            stream.write_all(&body)
        }
        Answer::HangUp => Ok(()),
        Answer::Cut(body) => {
            let head = format!("HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len() + 1);
            stream.write_all(head.as_bytes())?;
            stream.write_all(&body)
        }
        Answer::Silence => stream.read(&mut [0]).map(drop),
        Answer::Endless => {
            stream.write_all(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")?;
            loop {
                stream.write_all(b"400\r\n")?;
                stream.write_all(&[b' '; 0x400])?;
                stream.write_all(b"\r\n")?;
            }
        }
        Answer::Trickle(pause) => {
            for byte in b"HTTP/1.1 200 X\r\nserver: ".iter().chain(&[b'x'; 1_000]) {
                stream.write_all(&[*byte])?;
                thread::sleep(Duration::from_millis(pause));
            }
            Ok(())
        }
    }
}
