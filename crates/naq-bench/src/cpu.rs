//! How much time of the processors a process took.

use std::fs;
use std::time::Duration;

use crate::Outcome;

/// The kernel counts the time of a process in hundredths of a second, on every machine.
const TICK: Duration = Duration::from_millis(10);

/// The time on processors of the process of this id so far, in user and in kernel code.
///
/// Exact to a tick of 10 ms.
pub(crate) fn time_of(pid: u32) -> Outcome<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    ticks(&stat).map(|ticks| TICK * ticks).ok_or_else(|| "no times in stat".into())
}

/// User and system time together, the 14th and 15th field; the second, the
/// name, may have blanks and brackets.
fn ticks(stat: &str) -> Option<u32> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let (user, system) = (fields.next()?, fields.next()?);
    Some(user.parse::<u32>().ok()? + system.parse::<u32>().ok()?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_times_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20";
        assert_eq!(super::ticks(stat), Some(42));
        assert_eq!(super::ticks("7 (a) S 1"), None);
    }
}
