//! The program on two sides of a connection: one serves, the other asks.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

fn program(home: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_sordino"));
    // Nothing of whoever runs the tests is read or changed.
    for (variable, folder) in [("XDG_CACHE_HOME", "cache"), ("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data")] {
        program.env(variable, home.join(folder));
    }
    program.env_remove("SORDINO_TOKEN").env_remove("LISTEN_FDS");
    program
}

fn json(mut command: Command) -> Value {
    let output = command.arg("--json").output().expect("the program runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

/// The model that the repository has.
fn composed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/composed")
}

/// A server that is killed when it is dropped.
struct Serving {
    process: Child,
    url: String,
}

impl Serving {
    fn start(home: &Path, options: &[&str]) -> Self {
        let mut command = program(home);
        command.arg("serve").arg(composed()).arg("--json").args(options);
        if !options.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the server starts");
        let mut said = String::new();
        let mut lines = BufReader::new(process.stdout.take().expect("piped"));
        while !said.contains('}') {
            assert!(lines.read_line(&mut said).expect("a line") > 0, "the server ended: {said}");
        }
        let said: Value = serde_json::from_str(&said).expect("JSON");
        Self { process, url: said["url"].as_str().expect("an address").trim_end_matches('/').to_owned() }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn clips(home: &Path) -> Vec<PathBuf> {
    let music = home.join("music");
    let mut synth = program(home);
    synth.args(["synth", "--tracks", "3", "--out"]).arg(&music);
    json(synth);
    let mut clips: Vec<PathBuf> =
        std::fs::read_dir(&music).expect("music").flatten().map(|entry| entry.path()).collect();
    clips.retain(|clip| clip.extension().is_some_and(|extension| extension == "wav"));
    clips.sort();
    assert_eq!(clips.len(), 3);
    clips
}

#[test]
fn every_protocol_names_over_a_connection_what_it_names_in_one_process() {
    let home = tempfile::tempdir().expect("a folder");
    let home = home.path();
    let (serving, clips) = (Serving::start(home, &["--budget", "none"]), clips(home));
    let model = composed();
    for protocol in ["flat", "routed", "decided"] {
        let ask = |place: &[&str]| {
            let mut identify = program(home);
            identify.arg("identify").args(place).args(&clips).args(["--protocol", protocol]);
            let found = json(identify);
            let found = found["identified"].as_array().expect("answers").clone();
            found.into_iter().map(|one| (one["known"].clone(), one["best"].clone())).collect::<Vec<_>>()
        };
        let (here, there) = (ask(&[model.to_str().expect("UTF-8")]), ask(&["--server", &serving.url]));
        assert_eq!(here, there, "{protocol}");
        assert_eq!(there.len(), 3);
        assert!(there.iter().any(|(known, _)| known == true), "{protocol}");
    }

    // What a client does not say is the server's choice, and what it says must agree with that.
    let saying = |option: &[&str]| {
        let mut identify = program(home);
        identify.arg("identify").args(["--server", &serving.url, "--protocol", "decided"]).args(option).arg(&clips[0]);
        let output = identify.output().expect("the program runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (done, said) = saying(&["--answers", "1"]);
    assert!(done, "{said}");
    let (done, said) = saying(&["--resolution", "fine"]);
    assert!(!done && said.contains("was asked for decided, 1 probe, 1 answer, fine resolution"), "{said}");
    let (done, said) = saying(&["--certain", "0.9"]);
    assert!(!done && said.contains("sordino serve"), "{said}");

    // One key was sent, and stays the client's until the operator forgets it.
    let store = |task: &[&str]| {
        let mut store = program(home);
        store.arg("store").args(task);
        json(store)
    };
    let kept = store(&["list"]);
    assert_eq!(kept["keys"].as_array().map(Vec::len), Some(1));
    let key = kept["keys"][0]["key"].as_str().expect("a name").to_owned();
    assert_eq!(store(&["revoke", &key])["removed"], 1);
    assert_eq!(store(&["list"])["keys"].as_array().map(Vec::len), Some(0));
    let token = store(&["grant", "alice"]);
    assert_eq!(token["token"].as_str().map(str::len), Some(64));
    assert_eq!(store(&["withdraw", "alice"])["removed"], 1);
}

#[test]
fn a_spent_budget_is_told() {
    let home = tempfile::tempdir().expect("a folder");
    let home = home.path();
    let (serving, clips) = (Serving::start(home, &["--budget", "1/1099511627776"]), clips(home));
    let mut identify = program(home);
    let output = identify.arg("identify").args(["--server", &serving.url, "--protocol", "flat"]).args(&clips).output();
    let output = output.expect("the program runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && errors.contains("budget"), "{errors}");
}

#[test]
fn a_server_of_three_workers_outlives_one_of_them() {
    let home = tempfile::tempdir().expect("a folder");
    let home = home.path();
    let worker = |share: &str, more: &[&str]| Serving::start(home, &[&["--share", share, "--compact"], more].concat());
    let mut workers = vec![worker("1/3", &[]), worker("2/3", &[]), worker("3/3", &[])];
    let urls: Vec<String> = workers.iter().map(|worker| worker.url.clone()).collect();
    let addresses: Vec<&str> = urls.iter().flat_map(|url| ["--worker", url]).collect();
    // Workers in another order, or not all of them, would make every answer wrong.
    for (given, expected) in
        [([1, 0, 2].as_slice(), "holds share 2/3, expected 1/3"), (&[0, 1], "holds share 1/3, expected 1/2")]
    {
        let given: Vec<&str> = given.iter().flat_map(|&worker| ["--worker", &*urls[worker]]).collect();
        let mut serve = program(home);
        let output = serve.arg("serve").arg(composed()).args(["--listen", "127.0.0.1:0"]).args(given).output();
        let said = String::from_utf8_lossy(&output.expect("it ends").stderr).into_owned();
        assert!(said.contains(expected), "{said}");
    }
    let serving = Serving::start(home, &[&addresses[..], &["--budget", "none", "--deadline", "12"]].concat());
    let clips = clips(home);
    let model = composed();
    let identify = |place: &[&str]| {
        let mut identify = program(home);
        identify.arg("identify").args(place).args(&clips).args(["--protocol", "decided"]);
        identify
    };
    let best = |found: Value| -> Vec<(Value, Value)> {
        let found = found["identified"].as_array().expect("answers").clone();
        found.into_iter().map(|one| (one["known"].clone(), one["best"].clone())).collect()
    };
    let alone = best(json(identify(&[model.to_str().expect("UTF-8")])));
    let there = || identify(&["--server", &serving.url]);
    assert_eq!(best(json(there())), alone);

    // One dies while a query is under way, and comes back at its address.
    let asking = there().arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    workers.remove(1);
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let address = urls[1].trim_start_matches("http://").to_owned();
    let back = worker("2/3", &["--listen", &address]);
    let output = asking.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    assert_eq!(best(serde_json::from_slice(&output.stdout).expect("JSON")), alone);

    // For ever away is an error, and no answer.
    drop(back);
    let mut one = program(home);
    let output = one.args(["identify", "--server", &serving.url, "--protocol", "decided"]).arg(&clips[0]).output();
    let output = output.expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && errors.contains("does not answer"), "{errors}");
    // A worker takes nothing from strangers, and says what it holds.
    let post = |path: &str| {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut reply = agent.post(format!("{}{path}", urls[0])).send(&[0_u8; 64][..]).expect("a reply");
        (reply.status().as_u16(), reply.body_mut().read_to_string().unwrap_or_default())
    };
    let (status, said) = post("/v1/models/composed/shares/decided");
    assert!(status == 409 && said.contains("request of a coordinator"), "{status} {said}");
    let (status, said) = post("/v1/models/other/shares/decided");
    assert!(status == 404 && said.contains("composed in decided"), "{status} {said}");
}
