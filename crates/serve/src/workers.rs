//! [`Workers`]: the machines that hold a model's last stage, as a coordinator asks them over HTTP.

use std::thread;
use std::time::{Duration, Instant};

use sordino_fhe::FheError;
use sordino_fhe::decision::Shares;
use ureq::Agent;

use crate::worker::Held;

/// Between two tries of a worker that does not answer.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest reply of a worker, in bytes.
const MOST: u64 = 1 << 30;

/// Workers of one model and one protocol: share `i` is at address `i`.
pub(crate) struct Workers {
    addresses: Vec<String>,
    agent: Agent,
    patience: Duration,
}

impl Workers {
    /// Those at these addresses, such as `http://10.0.0.7:7665`, for a protocol of a model. A worker that does not answer is tried again as
    /// long as there is patience: it may be about to come back.
    pub(crate) fn new(addresses: &[String], model: &str, protocol: &str, patience: Duration) -> Self {
        let path = |address: &String| format!("{}/v1/models/{model}/shares/{protocol}", address.trim_end_matches('/'));
        let agent = Agent::config_builder().timeout_connect(Some(Duration::from_secs(5))).http_status_as_error(false);
        Self { addresses: addresses.iter().map(path).collect(), agent: agent.build().into(), patience }
    }

    /// The reply of one worker.
    fn reply(&self, address: &str, request: &[u8]) -> Result<Vec<u8>, FheError> {
        let until = Instant::now() + self.patience;
        let mut told = false;
        loop {
            let reason = match self.tried(address, request) {
                Ok(Ok(reply)) => return Ok(reply),
                // It is there, and will say the same again.
                Ok(Err(refusal)) => return Err(share(format!("the worker at {address} refuses: {refusal}"))),
                Err(reason) => reason,
            };
            if Instant::now() + PAUSE > until {
                let (found, expected) = (reason, "a worker that `sordino serve --share` runs there");
                return Err(share(format!("{address} does not answer: {found}; expected {expected}")));
            }
            if !std::mem::replace(&mut told, true) {
                tracing::warn!(address, reason, "a worker does not answer; it is tried again");
            }
            thread::sleep(PAUSE);
        }
    }

    /// A reply, a refusal, or the reason why there is neither.
    fn tried(&self, address: &str, request: &[u8]) -> Result<Result<Vec<u8>, String>, String> {
        let failed = |error: ureq::Error| error.to_string();
        let mut response = self.agent.post(address).send(request).map_err(failed)?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(MOST).read_to_vec().map_err(failed)?;
        match status.as_u16() {
            200 => Ok(Ok(body)),
            code @ 400..=499 => Ok(Err(format!("status {code}: {}", String::from_utf8_lossy(&body)))),
            code => Err(format!("status {code}")),
        }
    }
}

/// Looks at workers before any query does. One that does not answer may come; one that holds another share is refused, since every answer would
/// be.
///
/// # Errors
/// Which worker is not what its place says.
pub(crate) fn look(addresses: &[String]) -> Result<(), String> {
    let agent: Agent = Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().into();
    for (number, address) in addresses.iter().enumerate() {
        let expected = format!("{}/{}", number + 1, addresses.len());
        if !["http://", "https://"].iter().any(|scheme| address.starts_with(scheme)) {
            return Err(format!(
                "worker {expected} is at {address:?}, expected an address such as http://10.0.0.7:7664"
            ));
        }
        let found = agent.get(format!("{}/v1/share", address.trim_end_matches('/'))).call();
        match found.and_then(|mut response| response.body_mut().read_json::<Held>()) {
            Ok(held) if held.share == expected => {}
            Ok(held) => {
                let found = held.share;
                return Err(format!(
                    "{address} holds share {found}, expected {expected}: give one --worker for every share, in their order"
                ));
            }
            Err(error) => {
                tracing::warn!(address, %error, "a worker does not say what it holds; it is asked all the same")
            }
        }
    }
    Ok(())
}

impl Shares for Workers {
    fn count(&self) -> usize {
        self.addresses.len()
    }

    fn ask(&self, request: &[u8]) -> Result<Vec<Vec<u8>>, FheError> {
        thread::scope(|scope| {
            let ask = |address: &'_ String| {
                let address = address.clone();
                scope.spawn(move || self.reply(&address, request))
            };
            let asked: Vec<_> = self.addresses.iter().map(ask).collect();
            let panicked = || Err(share("a request to a worker panicked".into()));
            asked.into_iter().map(|reply| reply.join().unwrap_or_else(|_| panicked())).collect()
        })
    }
}

fn share(what: String) -> FheError {
    FheError::Share { what }
}
