//! A decided answer from workers that hold the last stage in shares, each a process of its own behind a socket, beside what the hop costs.
//!
//! ```text
//! cargo run --release -p sordino-benches --example sharded [queries] [slots,slots,..] [workers] [probes] [picked] [integers] [kill]
//! ```
//!
//! As for the example `decided`: `216,216,216` are ten million random rows. With `kill`, a worker dies during the second query, and is started
//! anew. Every worker has one thread. A line of JSON for every query.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sordino_benches::decided::{Exchange, HASH, Tree};
use sordino_benches::{Failure, rng};
use sordino_fhe::decision::{Options, Plan, Share, ShareServer, Shares};
use sordino_fhe::params::STANDARD;
use sordino_fhe::{ClientKey, EvaluationKey, FheError, SecretKey};
use sordino_lab::peak_gigabytes;
use sordino_model::Resolution;
use sordino_model::cost::WeightForm;

fn main() -> Result<(), Failure> {
    measure(&std::env::args().skip(1).collect::<Vec<_>>())
}

/// What is asked of whom.
struct Question {
    tree: Tree,
    options: Options,
    form: WeightForm,
}

impl Question {
    fn new(slots: &str, probes: usize, words: &[String]) -> Result<Self, Failure> {
        let outputs: Vec<usize> = slots.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let said = |word: &str| words.iter().any(|argument| argument == word);
        let options = Options::new(probes, 1, Resolution::Standard);
        let options = if said("picked") { options.picked() } else { options };
        let form = if said("integers") { WeightForm::Integers } else { WeightForm::Transformed };
        Ok(Self { tree: Tree { tracks: outputs.iter().product(), outputs }, options, form })
    }
}

/// The measurement that the arguments ask for; `worker I N ...` is what it starts.
pub(crate) fn measure(arguments: &[String]) -> Result<(), Failure> {
    let worker = arguments.first().is_some_and(|first| first == "worker");
    let (own, rest) = arguments.split_at(if worker { 4.min(arguments.len()) } else { 0 });
    let at = |i: usize, default: &'static str| rest.get(i).map_or(default, String::as_str);
    let (queries, slots, workers) = (at(0, "3").parse()?, at(1, "158,158"), at(2, "4").parse()?);
    let question = Question::new(slots, at(3, "1").parse()?, rest.get(4..).unwrap_or_default())?;
    match own {
        [_, number, of, address] => work(&question, number.parse()?, of.parse()?, address),
        _ => coordinate(&question, rest, queries, workers),
    }
}

/// Holds a share behind a socket until the process is killed. A reply is its length, the seconds that it took, and its bytes.
fn work(question: &Question, number: usize, of: usize, address: &str) -> Result<(), Failure> {
    let model = question.tree.model()?;
    let plan = Plan::new(&STANDARD, &model, question.options)?;
    let worker = ShareServer::new(HASH, &model, plan, Share::new(number, of)?, question.form)?;
    drop(model);
    let listener = TcpListener::bind(address)?;
    println!("{} {}", listener.local_addr()?, worker.weight_bytes());
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut length = [0; 8];
        if stream.read_exact(&mut length).is_err() {
            continue;
        }
        let mut request = vec![0; u64::from_le_bytes(length) as usize];
        stream.read_exact(&mut request)?;
        let start = Instant::now();
        let reply = worker.answer(&request)?;
        let seconds = start.elapsed().as_secs_f64();
        stream.write_all(&(reply.len() as u64).to_le_bytes())?;
        stream.write_all(&seconds.to_le_bytes())?;
        stream.write_all(&reply)?;
    }
    Ok(())
}

/// Workers, and what asking them took.
struct Workers {
    addresses: Vec<String>,
    took: Mutex<Took>,
}

#[derive(Clone, Copy, Default)]
struct Took {
    /// From a request to the last reply.
    waited: Duration,
    /// The slowest worker's own time.
    worked: Duration,
    up: usize,
    down: usize,
    tried_again: usize,
}

impl Workers {
    fn reply(&self, address: &str, request: &[u8]) -> std::io::Result<(f64, Vec<u8>)> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(&(request.len() as u64).to_le_bytes())?;
        stream.write_all(request)?;
        let (mut length, mut seconds) = ([0; 8], [0; 8]);
        stream.read_exact(&mut length)?;
        stream.read_exact(&mut seconds)?;
        let mut reply = vec![0; u64::from_le_bytes(length) as usize];
        stream.read_exact(&mut reply)?;
        Ok((f64::from_le_bytes(seconds), reply))
    }
}

impl Shares for Workers {
    fn count(&self) -> usize {
        self.addresses.len()
    }

    fn ask(&self, request: &[u8]) -> Result<Vec<Vec<u8>>, FheError> {
        const TRIES: usize = 6_000;
        let start = Instant::now();
        let ask = |address: &String| {
            let mut tries = 0;
            loop {
                match self.reply(address, request) {
                    Ok(reply) => return Ok((reply, tries)),
                    Err(error) if tries == TRIES => return Err(FheError::Share { what: error.to_string() }),
                    Err(_) => std::thread::sleep(Duration::from_millis(100)),
                }
                tries += 1;
            }
        };
        let replies: Vec<_> = std::thread::scope(|scope| {
            let asked: Vec<_> = self.addresses.iter().map(|address| scope.spawn(move || ask(address))).collect();
            asked.into_iter().map(|one| one.join()).collect()
        });
        let mut took = self.took.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        took.waited += start.elapsed();
        let (mut out, mut slowest) = (Vec::new(), 0.0_f64);
        for reply in replies {
            let ((seconds, reply), tries) =
                reply.map_err(|_| FheError::Share { what: "a thread panicked".into() })??;
            slowest = slowest.max(seconds);
            took.up += request.len();
            took.down += reply.len();
            took.tried_again += tries;
            out.push(reply);
        }
        took.worked += Duration::from_secs_f64(slowest);
        Ok(out)
    }
}

/// A worker's process, which is killed with this.
struct Process(Child);

impl Process {
    /// Starts share `number`; says where it listens and how many bytes of weights it holds, once it does.
    fn start(number: usize, of: usize, address: &str, rest: &[String]) -> Result<(Self, String, usize), Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["worker", &number.to_string(), &of.to_string(), address]).args(rest);
        let mut child = command.env("RAYON_NUM_THREADS", "1").stdout(Stdio::piped()).spawn()?;
        let mut said = String::new();
        if let Some(out) = &mut child.stdout {
            std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut said)?;
        }
        let (address, bytes) = said.trim().split_once(' ').ok_or("the worker ended")?;
        Ok((Self(child), address.to_owned(), bytes.parse()?))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn coordinate(question: &Question, rest: &[String], queries: usize, workers: usize) -> Result<(), Failure> {
    let kills = rest.iter().any(|argument| argument == "kill");
    let (mut processes, mut addresses, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..workers {
        let (process, address, bytes) = Process::start(number, workers, "127.0.0.1:0", rest)?;
        processes.push(Some(process));
        addresses.push(address);
        held.push(bytes);
    }
    let secret = SecretKey::generate(&STANDARD);
    let key = EvaluationKey::generate(&secret, |_| {}).expand();
    let model = question.tree.model()?;
    let shares = Arc::new(Workers { addresses: addresses.clone(), took: Mutex::default() });
    let client = ClientKey::registered(secret, key.id());
    let mut session =
        Exchange::coordinating(client, &question.tree, &model, question.options, question.form, shares.clone())?;
    let mut rng = rng(27);
    for query in 0..queries {
        *shares.took.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Took::default();
        let killed = kills && query == 1;
        let track = session.any(&mut rng);
        let answered = std::thread::scope(|scope| {
            if killed {
                let (process, address) = (processes[0].take(), addresses[0].clone());
                scope.spawn(move || {
                    std::thread::sleep(Duration::from_millis(300));
                    drop(process);
                });
                let back = scope.spawn(move || {
                    std::thread::sleep(Duration::from_millis(900));
                    Process::start(0, workers, &address, rest).ok().map(|(process, ..)| process)
                });
                let answered = session.ask(&key, track, &mut rng);
                processes[0] = back.join().map_err(|_| "a thread panicked")?;
                answered
            } else {
                session.ask(&key, track, &mut rng)
            }
        })?;
        let took = *shares.took.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        println!(
            "{{\"rows\":{},\"workers\":{workers},\"query\":{query},\"right\":{},\"killed\":{killed},\"tried_again\":{},\"seconds\":{:.4},\
             \"waited\":{:.4},\"worked\":{:.4},\"bytes_to_workers\":{},\"bytes_from_workers\":{},\"weights_a_worker\":{},\
             \"coordinator_weights\":{},\"coordinator_peak_gb\":{:.2}}}",
            question.tree.tracks,
            answered.right,
            took.tried_again,
            answered.server.as_secs_f64(),
            took.waited.as_secs_f64(),
            took.worked.as_secs_f64(),
            took.up,
            took.down,
            held.iter().max().unwrap_or(&0),
            session.server.weight_bytes(),
            peak_gigabytes().unwrap_or(f64::NAN),
        );
    }
    Ok(())
}
