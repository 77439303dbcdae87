//! [`Lane`]: the queue of one protocol, bounded and fair, and the threads that serve it.
//!
//! A request first takes a [`Seat`], before a byte of its body is read. So seats bound the bodies in memory. Whoever holds a seat may
//! wait for its turn. Turns go round the shares, one at a time each, so that a client with many queries delays its own.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::caller::Share;
use crate::problem::{Kind, Problem};

/// Bounds of a lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Requests that hold a seat.
    pub(crate) seats: usize,
    /// Of them, those of one share.
    pub(crate) seats_a_share: usize,
    /// Queries evaluated at once.
    pub(crate) at_once: usize,
    /// Threads that evaluate them.
    pub(crate) threads: usize,
}

/// What is to be done. It is given the time that it has waited, and says whether it was done to the end.
type Work = Box<dyn FnOnce(Duration) -> bool + Send>;

/// Whether anybody still waits for an outcome, and will have it in time.
pub(crate) type Wanted = Arc<dyn Fn() -> bool + Send + Sync>;

struct Job {
    work: Work,
    since: Instant,
    deadline: Instant,
    wanted: Wanted,
}

/// The queue of one protocol. Dropped, it finishes what it has begun.
#[derive(Clone)]
pub(crate) struct Lane(Arc<Shared>);

struct Shared {
    bounds: Bounds,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Shares that wait, whose turn is next first. A share is in it once.
    turns: VecDeque<Share>,
    waiting: HashMap<Share, VecDeque<Job>>,
    /// Seats taken, by share.
    seats: HashMap<Share, usize>,
    taken: usize,
    running: usize,
    /// Evaluations that were stopped before their end.
    stopped: u64,
    /// What a query took lately, in seconds.
    usual: Option<f64>,
}

/// A place in a lane, given back when dropped.
pub(crate) struct Seat {
    lane: Lane,
    share: Share,
}

/// What became of a job.
pub(crate) struct Done<T> {
    /// Its outcome.
    pub(crate) outcome: T,
    /// How long it waited for its turn.
    pub(crate) waited: Duration,
    /// How long it ran.
    pub(crate) took: Duration,
}

impl Lane {
    /// A lane with its threads.
    ///
    /// # Errors
    /// The system's, where it has no more threads.
    pub(crate) fn new(name: &str, bounds: Bounds) -> Result<Self, std::io::Error> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(bounds.threads)
            .thread_name({
                let name = name.to_owned();
                move |i| format!("{name}-{i}")
            })
            .build()
            .map_err(std::io::Error::other)?;
        let (pool, shared) =
            (Arc::new(pool), Arc::new(Shared { bounds, queue: Mutex::default(), wake: Condvar::new() }));
        for i in 0..bounds.at_once {
            let (pool, lane) = (pool.clone(), Arc::downgrade(&shared));
            thread::Builder::new().name(format!("{name}-turn-{i}")).spawn(move || {
                while let Some(lane) = lane.upgrade().map(Lane) {
                    if let Some(job) = lane.next() {
                        pool.install(|| lane.run(job));
                    }
                }
            })?;
        }
        Ok(Self(shared))
    }

    /// Requests that hold a seat, and queries that run.
    pub(crate) fn load(&self) -> (usize, usize) {
        let queue = self.queue();
        (queue.taken, queue.running)
    }

    /// Evaluations that were stopped, since nobody waited for them any more.
    pub(crate) fn stopped(&self) -> u64 {
        self.queue().stopped
    }

    /// A seat for a request of `share`.
    pub(crate) fn seat(&self, share: Share) -> Result<Seat, Problem> {
        let Bounds { seats, seats_a_share, .. } = self.0.bounds;
        let mut queue = self.queue();
        let after = self.wait(&queue);
        let own = queue.seats.get(&share).copied().unwrap_or(0);
        if own >= seats_a_share {
            let detail =
                format!("{own} requests are under way, expected at most {seats_a_share}; wait for their replies");
            return Err(Kind::TooMany.because(detail).retry_after(after));
        }
        if queue.taken >= seats {
            return Err(Kind::Busy.because(format!("{seats} requests wait; ask again later")).retry_after(after));
        }
        queue.taken += 1;
        *queue.seats.entry(share).or_default() += 1;
        Ok(Seat { lane: self.clone(), share })
    }

    /// What whoever comes now should expect to wait.
    fn wait(&self, queue: &Queue) -> Duration {
        let ahead = queue.taken.div_ceil(self.0.bounds.at_once);
        Duration::from_secs_f64((queue.usual.unwrap_or(1.0) * ahead as f64).clamp(1.0, 600.0))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // No code that can panic runs under the lock, but for an allocation that fails.
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job whose turn it is, if one comes soon.
    fn next(&self) -> Option<Job> {
        const SOON: Duration = Duration::from_millis(200);
        let mut queue = self.queue();
        if queue.turns.is_empty() {
            queue = self.0.wake.wait_timeout(queue, SOON).unwrap_or_else(PoisonError::into_inner).0;
        }
        let share = queue.turns.pop_front()?;
        let waiting = queue.waiting.get_mut(&share)?;
        let job = waiting.pop_front();
        if waiting.is_empty() {
            queue.waiting.remove(&share);
        } else {
            queue.turns.push_back(share);
        }
        queue.running += usize::from(job.is_some());
        job
    }

    /// Whether a query is likely to end in time, by what queries took lately. One that was stopped on its way would only have kept others
    /// waiting. Who hardly had to wait is tried all the same: slow times must not refuse everything for ever.
    fn in_time(&self, waited: Duration, left: Duration) -> bool {
        10 * waited < left || self.queue().usual.is_none_or(|usual| usual <= left.as_secs_f64())
    }

    fn run(&self, job: Job) {
        let now = Instant::now();
        // A job that nobody waits for, or whose time will not do, is dropped, and its channel with it.
        if (job.wanted)() && self.in_time(now - job.since, job.deadline.saturating_duration_since(now)) {
            let finished = (job.work)(now - job.since);
            let took = now.elapsed().as_secs_f64();
            let mut queue = self.queue();
            let usual = queue.usual.unwrap_or(took);
            if finished {
                queue.usual = Some(0.8 * usual + 0.2 * took);
            } else {
                // It would have taken longer still.
                queue.usual = Some(usual.max(took));
                queue.stopped += 1;
            }
        }
        self.queue().running -= 1;
    }
}

impl Seat {
    /// Runs `work` when it is this seat's turn, at `deadline` the latest. A request that is dropped while it waits never runs. Work that
    /// takes long asks now and then whether it is wanted, and gives nothing where it is not.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&Wanted) -> Option<T> + Send + 'static,
    ) -> Result<Done<T>, Problem> {
        let (sender, receiver) = oneshot::channel();
        // The sender is asked whether anybody waits, and is taken to send what comes out.
        let sender = Arc::new(Mutex::new(Some(sender)));
        let asked = sender.clone();
        let wanted: Wanted = Arc::new(move || {
            let sender = asked.lock().unwrap_or_else(PoisonError::into_inner);
            Instant::now() < deadline && sender.as_ref().is_some_and(|sender| !sender.is_closed())
        });
        let job = Job {
            wanted: wanted.clone(),
            work: Box::new(move |waited| {
                let start = Instant::now();
                // A panic would end the thread that serves the lane. Nothing that the work shares with others is left half changed: it
                // owns its query, and models and keys are only read.
                let ran = catch_unwind(AssertUnwindSafe(|| work(&wanted)));
                let sender: Option<oneshot::Sender<_>> = sender.lock().unwrap_or_else(PoisonError::into_inner).take();
                let done = match ran {
                    Ok(Some(outcome)) => Some(Done { outcome, waited, took: start.elapsed() }),
                    Ok(None) => return false,
                    Err(_) => {
                        tracing::error!("a query made the evaluator panic");
                        None
                    }
                };
                // Whoever asked may have gone meanwhile.
                sender.map(|sender| sender.send(done).is_ok());
                true
            }),
            since: Instant::now(),
            deadline,
        };
        {
            let mut queue = self.lane.queue();
            let waiting = queue.waiting.entry(self.share).or_default();
            waiting.push_back(job);
            if waiting.len() == 1 {
                queue.turns.push_back(self.share);
            }
        }
        self.lane.0.wake.notify_one();
        match receiver.await {
            Ok(Some(done)) => Ok(done),
            Ok(None) => Err(Kind::Internal.because("the evaluator failed on this query; please report it")),
            Err(_) => {
                let after = self.lane.wait(&self.lane.queue());
                Err(Kind::Deadline
                    .because("the reply would come after the deadline; ask again later")
                    .retry_after(after))
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut queue = self.lane.queue();
        queue.taken -= 1;
        if let Some(own) = queue.seats.get_mut(&self.share) {
            *own -= 1;
            if *own == 0 {
                queue.seats.remove(&self.share);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn share(last: u8) -> Share {
        Share::Address(IpAddr::from([192, 0, 2, last]))
    }

    fn lane(seats: usize, seats_a_share: usize) -> Lane {
        Lane::new("test", Bounds { seats, seats_a_share, at_once: 1, threads: 1 }).expect("threads")
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn seats_are_bounded_and_given_back() {
        let lane = lane(3, 2);
        let held = [lane.seat(share(1)).ok(), lane.seat(share(1)).ok()];
        assert_eq!(lane.seat(share(1)).err().map(|problem| problem.kind()), Some(Kind::TooMany));
        let other = lane.seat(share(2)).ok();
        assert!(held.iter().all(Option::is_some) && other.is_some());
        assert_eq!(lane.seat(share(3)).err().map(|problem| problem.kind()), Some(Kind::Busy));
        drop(other);
        assert!(lane.seat(share(3)).is_ok());
        drop(held);
        assert_eq!(lane.load().0, 0);
    }

    #[tokio::test]
    async fn turns_go_round_the_shares() {
        let lane = lane(16, 8);
        let order = Arc::new(Mutex::new(Vec::new()));
        // Holds the only turn until all others wait.
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let first = lane.seat(share(9)).expect("a seat");
        let first = tokio::spawn(async move { first.run(soon(), move |_| Some(gate.recv().is_ok())).await.is_ok() });
        while lane.load().1 == 0 {
            tokio::task::yield_now().await;
        }
        let mut tasks = Vec::new();
        for (i, who) in [1, 1, 1, 2, 1, 3].into_iter().enumerate() {
            let (seat, order) = (lane.seat(share(who)).expect("a seat"), order.clone());
            tasks.push(tokio::spawn(async move {
                seat.run(soon(), move |_| {
                    order.lock().expect("unpoisoned").push(who);
                    Some(())
                })
                .await
                .is_ok()
            }));
            while lane.queue().waiting.values().map(VecDeque::len).sum::<usize>() <= i {
                tokio::task::yield_now().await;
            }
        }
        go.send(()).expect("the first job waits");
        assert!(first.await.expect("no panic"));
        for task in tasks {
            assert!(task.await.expect("no panic"));
        }
        assert_eq!(*order.lock().expect("unpoisoned"), [1, 2, 3, 1, 1, 1]);
    }

    #[tokio::test]
    async fn a_request_that_is_dropped_while_it_waits_never_runs() {
        let lane = lane(4, 4);
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let first = lane.seat(share(1)).expect("a seat");
        let first = tokio::spawn(async move { first.run(soon(), move |_| Some(gate.recv().is_ok())).await.is_ok() });
        while lane.load().1 == 0 {
            tokio::task::yield_now().await;
        }
        let ran = Arc::new(Mutex::new(false));
        let (second, mark) = (lane.seat(share(1)).expect("a seat"), ran.clone());
        let second = tokio::spawn(async move {
            second
                .run(soon(), move |_| {
                    *mark.lock().expect("unpoisoned") = true;
                    Some(())
                })
                .await
                .is_ok()
        });
        while lane.queue().waiting.is_empty() {
            tokio::task::yield_now().await;
        }
        second.abort();
        assert!(second.await.is_err());
        go.send(()).expect("the first job waits");
        assert!(first.await.expect("no panic"));
        let third = lane.seat(share(1)).expect("a seat");
        assert!(third.run(soon(), |_| Some(())).await.is_ok());
        assert!(!*ran.lock().expect("unpoisoned"));
    }

    /// Work that goes on for as long as it is wanted, and says with `began` that it has begun.
    fn endless(began: std::sync::mpsc::Sender<()>) -> impl FnOnce(&Wanted) -> Option<()> + Send + 'static {
        move |wanted| {
            let _ = began.send(());
            while wanted() {
                thread::yield_now();
            }
            None
        }
    }

    #[tokio::test]
    async fn work_whose_client_has_gone_makes_room_for_the_next() {
        let lane = lane(4, 4);
        let (began, begun) = std::sync::mpsc::channel();
        let seat = lane.seat(share(1)).expect("a seat");
        let first = tokio::spawn(async move { seat.run(soon(), endless(began)).await.is_ok() });
        while begun.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        first.abort();
        assert!(first.await.is_err());
        let second = lane.seat(share(1)).expect("a seat");
        assert!(second.run(soon(), |_| Some(())).await.is_ok());
        assert_eq!(lane.stopped(), 1);
    }

    #[tokio::test]
    async fn work_that_outlasts_its_deadline_is_stopped() {
        let lane = lane(4, 4);
        let (began, begun) = std::sync::mpsc::channel();
        let seat = lane.seat(share(1)).expect("a seat");
        let shortly = Instant::now() + Duration::from_millis(200);
        let late = seat.run(shortly, endless(began)).await.err().map(|problem| problem.kind());
        assert_eq!(late, Some(Kind::Deadline));
        assert!(begun.try_recv().is_ok(), "it had begun");
        assert!(seat.run(soon(), |_| Some(())).await.is_ok());
    }

    #[tokio::test]
    async fn work_that_would_end_too_late_is_not_begun_but_where_nobody_waits() {
        let lane = lane(4, 4);
        let (began, begun) = std::sync::mpsc::channel();
        let seat = lane.seat(share(1)).expect("a seat");
        let first = tokio::spawn(async move { seat.run(soon(), endless(began)).await.is_ok() });
        while begun.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        lane.queue().usual = Some(600.0);
        let seat = lane.seat(share(2)).expect("a seat");
        let (since, deadline) = (Instant::now(), Instant::now() + Duration::from_millis(400));
        let second = tokio::spawn(async move { seat.run(deadline, |_| Some(())).await });
        while since.elapsed() < Duration::from_millis(100) {
            tokio::task::yield_now().await;
        }
        first.abort();
        let late = second.await.expect("no panic").err().map(|problem| problem.kind());
        assert_eq!(late, Some(Kind::Deadline), "it had waited, and 600 s are usual");
        let third = lane.seat(share(1)).expect("a seat");
        assert!(third.run(soon(), |_| Some(())).await.is_ok(), "it had not waited");
    }

    #[tokio::test]
    async fn whoever_cannot_be_served_in_time_is_told_when_to_come_again() {
        let lane = lane(4, 4);
        let seat = lane.seat(share(1)).expect("a seat");
        let panicked =
            seat.run(soon(), |_| -> Option<()> { panic!("on purpose") }).await.err().map(|problem| problem.kind());
        assert_eq!(panicked, Some(Kind::Internal));
        let late = seat.run(Instant::now(), |_| Some(())).await.err().map(|problem| problem.kind());
        assert_eq!(late, Some(Kind::Deadline));
    }
}
