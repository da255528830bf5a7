//! The clock that spans are timed by.

use std::time::Instant;

use quanta::Clock as Counter;

/// The processor's counter where the system keeps its time by it, too, and else
/// the system's clock, which takes twice as long to read.
///
/// The counter is held against the system's clock once for the process, which takes
/// about a millisecond, and agrees with it to some parts in a hundred thousand.
pub(crate) enum Clock {
    Counter(Counter),
    System(Instant),
}

impl Clock {
    pub(crate) fn new() -> Self {
        if counter_is_trusted() {
            Self::Counter(Counter::new())
        } else {
            Self::System(Instant::now())
        }
    }

    /// The time now, in this clock's unit. Never 0.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "584 years")]
    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Counter(counter) => counter.raw(),
            Self::System(epoch) => epoch.elapsed().as_nanos() as u64 + 1,
        }
    }

    /// The nanoseconds between two times, or 0 if the second is the earlier one.
    #[inline]
    pub(crate) fn nanos_between(&self, start: u64, end: u64) -> u64 {
        match self {
            Self::Counter(counter) => counter.delta_as_nanos(start, end),
            Self::System(_) => end.saturating_sub(start),
        }
    }
}

/// A counter may stop, or differ from one processor to the next. The kernel watches
/// it, and leaves it for another clock then.
fn counter_is_trusted() -> bool {
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source = cfg!(target_os = "linux").then(|| std::fs::read_to_string(source));
    matches!(source, Some(Ok(source)) if matches!(source.trim(), "tsc" | "arch_sys_counter"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_clock_agrees_with_the_system() {
        for clock in [Clock::new(), Clock::System(Instant::now())] {
            let around = Instant::now();
            let start = clock.now();
            let within = Instant::now();
            while within.elapsed() < Duration::from_millis(20) {
                std::hint::spin_loop();
            }
            let measured = Duration::from_nanos(clock.nanos_between(start, clock.now()));
            let most = around.elapsed().mul_f64(1.01);
            assert!((Duration::from_micros(19_800)..most).contains(&measured));
        }
    }

    #[test]
    fn time_never_runs_backwards() {
        for clock in [Clock::new(), Clock::System(Instant::now())] {
            assert_eq!(clock.nanos_between(9, 5), 0);
            assert_ne!(clock.now(), 0);
        }
    }
}
