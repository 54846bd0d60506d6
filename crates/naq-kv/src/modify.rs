//! Read, change, compare and set, again after a lost race.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use naq_core::clock::{Clock, ClockExt};
use naq_core::config::KvStoresConfig;
use naq_core::jetstream::JetStream;
use naq_core::kv::{
    GetOptions, KvChange, KvEntry, KvWrite, Modified, ModifyFn, PutOptions, RemoveOptions,
};
use naq_core::{Error, ErrorKind, Result};

use crate::read::get;
use crate::wire::Names;
use crate::write::{Write, send};

const OPERATION: &str = "update_with";

/// The longest wait after the first lost race; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(2);

/// Changes a key by what it has, as often as it takes and the configuration allows.
pub(crate) async fn modify(
    jetstream: &dyn JetStream,
    names: &Names,
    clock: &dyn Clock,
    config: &KvStoresConfig,
    key: &str,
    mut change: ModifyFn,
) -> Result<Modified> {
    for attempt in 1..=config.update_attempts {
        let latest = get(jetstream, names, key, GetOptions::default())
            .await
            .map_err(|error| error.in_operation(OPERATION))?;
        let live = latest.as_ref().filter(|entry| entry.is_live());
        // A marker's revision counts: the key may have been put and removed meanwhile.
        let revision = latest.as_ref().map_or(0, |entry: &KvEntry| entry.revision);
        let write = match (change(live)?, live) {
            (KvChange::Put(value), _) => {
                KvWrite::put_opts(key, value, PutOptions::update(revision))
            }
            (KvChange::Delete, Some(_)) => {
                KvWrite::remove(key, RemoveOptions::default().with_expected(revision))
            }
            (KvChange::Delete, None) | (KvChange::Keep, _) => {
                return Ok(Modified::new(None, attempt));
            }
        };
        match send(jetstream, names, &Write::new(OPERATION, names, write)?).await {
            Ok(revision) => return Ok(Modified::new(Some(revision), attempt)),
            Err(error) if error.is(ErrorKind::Conflict) => {}
            Err(error) => return Err(error),
        }
        if attempt < config.update_attempts {
            clock.sleep(wait(attempt, config.update_backoff_max, random())).await;
        }
    }
    Err(Error::new(ErrorKind::Conflict, OPERATION, "others were faster at each try")
        .with("bucket", &names.bucket)
        .with("key", key)
        .with("attempts", config.update_attempts.to_string())
        .with_hint("try again, raise kv_stores.update_attempts, or spread the key over several"))
}

/// Any time up to a bound that doubles with each lost race: writers that lost
/// together must not come back together.
fn wait(attempt: u32, longest: Duration, random: u64) -> Duration {
    let bound = FIRST_WAIT.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(longest);
    bound.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64)
}

/// A number that differs from call to call and from process to process.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread_below_it() {
        let longest = Duration::from_millis(250);
        for (attempt, bound) in [(1, 2), (2, 4), (5, 32), (8, 250), (1_000, 250)] {
            let bound = Duration::from_millis(bound);
            assert!(wait(attempt, longest, u64::MAX) <= bound);
            assert!(wait(attempt, longest, u64::MAX) > bound.mul_f64(0.99));
            assert_eq!(wait(attempt, longest, 0), Duration::ZERO);
            assert!(wait(attempt, longest, random()) <= bound);
        }
        assert_ne!(random(), random());
    }
}
