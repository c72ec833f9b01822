//! Which of several replicas gets the next connection: the fittest ones, and of those the one with
//! the fewest connections; who was chosen longest ago when that is the same.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use link::control::Condition;
use tokio_util::sync::CancellationToken;

/// How long a connection to a container that has ended may still bring its last bytes.
const LAST_BYTES: Duration = Duration::from_secs(10);

/// The containers behind one port.
#[derive(Debug, Default)]
pub(super) struct Pool {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    backends: Vec<Backend>,
    /// Counts choices.
    turn: u64,
}

#[derive(Debug)]
struct Backend {
    container: String,
    target: SocketAddr,
    condition: Condition,
    active: usize,
    chosen: u64,
    ended: CancellationToken,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a container, or leads it elsewhere.
    pub(super) fn add(&self, container: &str, target: SocketAddr, condition: Condition) {
        let mut state = self.lock();
        let known = state.backends.iter_mut();
        let known = known.into_iter().find(|one| one.container == container);
        if let Some(known) = known {
            known.target = target;
            known.condition = condition;
            return;
        }
        state.backends.push(Backend {
            container: container.to_owned(),
            target,
            condition,
            active: 0,
            chosen: 0,
            ended: CancellationToken::new(),
        });
    }

    /// Notes how fit a container is.
    pub(super) fn set_condition(&self, container: &str, condition: Condition) {
        let mut state = self.lock();
        for one in &mut state.backends {
            if one.container == container {
                one.condition = condition;
            }
        }
    }

    /// Removes a container that has ended. Its connections end by themselves, soon.
    pub(super) fn remove(&self, container: &str) {
        let mut state = self.lock();
        let gone = state
            .backends
            .extract_if(.., |one| one.container == container);
        for one in gone.filter(|one| one.active > 0) {
            // Its network has gone with it, so it may not have said goodbye.
            tokio::spawn(async move {
                tokio::time::sleep(LAST_BYTES).await;
                one.ended.cancel();
            });
        }
    }

    /// How many containers there are.
    pub(super) fn len(&self) -> usize {
        self.lock().backends.len()
    }

    /// The containers.
    pub(super) fn containers(&self) -> Vec<String> {
        let state = self.lock();
        let all = state.backends.iter();
        all.map(|one| one.container.clone()).collect()
    }

    /// Chooses one for a connection, but none of `tried`.
    pub(super) fn choose(self: &Arc<Self>, tried: &[SocketAddr]) -> Option<Lease> {
        let mut state = self.lock();
        state.turn += 1;
        let turn = state.turn;
        let chosen = state
            .backends
            .iter_mut()
            .filter(|one| !tried.contains(&one.target))
            .min_by_key(|one| (one.condition, one.active, one.chosen))?;
        chosen.active += 1;
        chosen.chosen = turn;
        Some(Lease {
            pool: Arc::clone(self),
            container: chosen.container.clone(),
            target: chosen.target,
            ended: chosen.ended.clone(),
        })
    }
}

/// A connection's hold on a container, which counts as one until it is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    pool: Arc<Pool>,
    container: String,
    /// Where it leads.
    pub(super) target: SocketAddr,
    /// The container has ended, and with it the connection.
    pub(super) ended: CancellationToken,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        for one in &mut state.backends {
            if one.container == self.container {
                one.active = one.active.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn target(last: u8) -> SocketAddr {
        SocketAddr::from(([172, 17, 0, last], 80))
    }

    fn pool(conditions: &[Condition]) -> Arc<Pool> {
        let pool = Arc::new(Pool::default());
        for (number, condition) in conditions.iter().enumerate() {
            let last = u8::try_from(number).unwrap();
            pool.add(&number.to_string(), target(last), *condition);
        }
        pool
    }

    fn choose(pool: &Arc<Pool>) -> Lease {
        pool.choose(&[]).unwrap()
    }

    #[test]
    fn turns_are_taken_while_nobody_is_busy() {
        let pool = pool(&[Condition::Ready; 3]);
        let chosen: Vec<_> = (0..6).map(|_| choose(&pool).target).collect();
        assert_eq!(chosen[..3], chosen[3..]);
        assert!([0, 1, 2].iter().all(|one| chosen.contains(&target(*one))));
    }

    #[test]
    fn the_least_busy_is_chosen() {
        let pool = pool(&[Condition::Ready; 2]);
        let first = choose(&pool);
        let second = choose(&pool);
        assert_ne!(first.target, second.target);
        drop(first);
        let third = choose(&pool);
        assert_ne!(third.target, second.target);
        assert_eq!(pool.lock().backends[0].active, 1);
        drop((second, third));
        assert!(pool.lock().backends.iter().all(|one| one.active == 0));
    }

    #[test]
    fn the_fit_go_first_however_busy() {
        let pool = pool(&[Condition::Unready, Condition::Ready, Condition::Stopping]);
        let held: Vec<_> = (0..5).map(|_| choose(&pool)).collect();
        assert!(held.iter().all(|lease| lease.target == target(1)));
        pool.set_condition("1", Condition::Stopping);
        assert_eq!(choose(&pool).target, target(0));
        pool.set_condition("0", Condition::Stopping);
        // None is fit: any is better than none.
        assert!(pool.choose(&[]).is_some());
    }

    #[test]
    fn one_that_did_not_answer_is_not_tried_again() {
        let pool = pool(&[Condition::Ready; 2]);
        let first = choose(&pool).target;
        let second = pool.choose(&[first]).unwrap().target;
        assert_ne!(first, second);
        assert!(pool.choose(&[first, second]).is_none());
    }

    #[tokio::test]
    async fn last_bytes_have_a_while_after_their_container() {
        let pool = pool(&[Condition::Ready]);
        let lease = choose(&pool);
        pool.remove("0");
        assert!(pool.choose(&[]).is_none());
        assert!(!lease.ended.is_cancelled());
    }
}
