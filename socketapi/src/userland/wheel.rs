//! Who drives a shard: receives, looks at the time, and sends what others left. The driver does, and in its place a
//! caller that waits.
//!
//! A program that sends a request and waits for the response would otherwise pay for two more changes of threads: the
//! datagram wakes the driver, which wakes the caller. So a caller whose waits are short takes the wheel while it
//! waits. Between two waits nobody drives for a moment, and the driver looks every [`TICK`] whether that lasts.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

/// How often the driver looks whether the wheel is still used.
pub(crate) const TICK: Duration = Duration::from_millis(2);

/// A wait that takes less is a short one.
const SHORT: Duration = Duration::from_millis(1);
/// So many short waits, one after another, give a caller the wheel.
const ENOUGH: u32 = 16;
/// More do not count.
const MOST: u32 = 64;
/// What a long wait takes away: a caller that sleeps does as well then, and needs nobody who looks after it.
const LONG_WAIT: u32 = 8;
/// What an operation takes away that did not have to wait: data in bulk is received better by a thread of its own.
const NO_WAIT: u32 = 4;

/// Who drives a shard. Whoever it is, is called.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// Whether there was a call since the one who drives looked last.
    rung: AtomicBool,
    /// How many short waits there were, less what speaks against a caller at the wheel.
    short_waits: AtomicU32,
    /// Whether the driver has let go of the wheel. Changed under the lock only.
    let_go: AtomicBool,
    hands: Mutex<Hands>,
}

#[derive(Debug, Default)]
struct Hands {
    driver: Option<Waker>,
    /// A caller that drives.
    caller: Option<Waker>,
    /// How many callers have driven so far.
    turns: u64,
    /// Whether the driver is to be woken once the caller leaves.
    awaited: bool,
    /// Whether the driver is to take the wheel then.
    recalled: bool,
    /// Whether the driver sends and looks at the time, as far as it knows.
    acts: bool,
}

/// What the driver is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It drives.
    Drives,
    /// Nobody drives; a caller may come back soon. There is to be another look after a [`TICK`].
    StandsIn(Look),
    /// A caller drives. Another look after a [`TICK`].
    Watches(Look),
    /// A caller drives, and calls before it leaves.
    Sleeps,
}

/// What the driver saw when it looked: how many callers had driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look(u64);

impl Default for Wheel {
    fn default() -> Self {
        Self {
            rung: AtomicBool::new(false),
            short_waits: AtomicU32::new(0),
            let_go: AtomicBool::new(false),
            hands: Mutex::default(),
        }
    }
}

impl Wheel {
    /// Calls whoever drives, once however often it rings before they look.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            let hands = self.lock();
            let called = hands.caller.as_ref().or(hands.driver.as_ref()).cloned();
            drop(hands);
            wake(called);
        }
    }

    /// Whether something has called since the last time. Only the caller that drives asks.
    pub(crate) fn heard(&self) -> bool {
        self.rung.load(Ordering::SeqCst) && self.rung.swap(false, Ordering::SeqCst)
    }

    /// Makes the driver's context the one that is woken, and says what it is to do. `before` is what it saw a
    /// [`TICK`] ago, or longer.
    pub(crate) fn role(&self, cx: &Context<'_>, before: Option<Look>) -> Role {
        let mut hands = self.lock();
        match &mut hands.driver {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        let beside = hands.caller.clone();
        // What it did may have left packets to send, or a time to look at, after the caller looked.
        let unseen = std::mem::replace(&mut hands.acts, beside.is_none()) && beside.is_some();
        if unseen || beside.is_none() {
            self.rung.store(unseen, Ordering::SeqCst);
        }
        let role = self.role_beside(&mut hands, before);
        drop(hands);
        if unseen {
            wake(beside);
        }
        role
    }

    fn role_beside(&self, hands: &mut Hands, before: Option<Look>) -> Role {
        if !self.let_go.load(Ordering::Relaxed) {
            return Role::Drives;
        }
        let look = Look(hands.turns);
        let over = before == Some(look);
        match (hands.caller.is_some(), over) {
            (true, true) => {
                hands.awaited = true;
                Role::Sleeps
            }
            (true, false) => Role::Watches(look),
            (false, true) => {
                self.let_go.store(false, Ordering::SeqCst);
                Role::Drives
            }
            (false, false) => Role::StandsIn(look),
        }
    }

    /// The driver takes the wheel; false if a caller has it, who is called then.
    pub(crate) fn take_back(&self) -> bool {
        let hands = self.lock();
        let free = hands.caller.is_none();
        if free {
            self.let_go.store(false, Ordering::SeqCst);
        }
        drop(hands);
        if !free {
            self.ring();
        }
        free
    }

    /// A task waits: driving is up to the driver now.
    pub(crate) fn task_waits(&self) {
        self.short_waits.store(0, Ordering::Relaxed);
        self.needs_driver();
    }

    /// Someone waits who does not drive.
    pub(crate) fn needs_driver(&self) {
        if !self.let_go.load(Ordering::SeqCst) {
            return;
        }
        let mut hands = self.lock();
        if hands.caller.is_some() {
            // Callers would be in each other's way.
            self.short_waits.store(0, Ordering::Relaxed);
            hands.recalled = true;
            return;
        }
        self.let_go.store(false, Ordering::SeqCst);
        let driver = hands.driver.clone();
        drop(hands);
        wake(driver);
    }

    /// A caller waited so long.
    pub(crate) fn waited(&self, time: Duration) {
        let waits = self.short_waits.load(Ordering::Relaxed);
        let waits = if time < SHORT {
            (waits + 1).min(MOST)
        } else {
            waits.saturating_sub(LONG_WAIT)
        };
        self.short_waits.store(waits, Ordering::Relaxed);
    }

    /// A caller did not have to wait.
    pub(crate) fn did_not_wait(&self) {
        let waits = self.short_waits.load(Ordering::Relaxed);
        if waits > 0 {
            self.short_waits.store(waits.saturating_sub(NO_WAIT), Ordering::Relaxed);
        }
    }

    /// Gives the wheel to a caller that waits, and who can be woken like this; `None` if it is better off asleep.
    pub(crate) fn take(&self, waker: &Waker) -> Option<Turn<'_>> {
        if self.short_waits.load(Ordering::Relaxed) < ENOUGH {
            return None;
        }
        let mut hands = self.lock();
        if hands.caller.is_some() {
            return None;
        }
        hands.caller = Some(waker.clone());
        hands.turns = hands.turns.wrapping_add(1);
        let mut driver = None;
        if !self.let_go.swap(true, Ordering::SeqCst) {
            // It may have been busy with something.
            self.rung.store(true, Ordering::SeqCst);
            driver.clone_from(&hands.driver);
        }
        drop(hands);
        wake(driver);
        Some(Turn(self))
    }

    fn lock(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller's time at the wheel. Dropped, it leaves it.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Wheel);

impl Turn<'_> {
    /// Leaves the wheel to the driver.
    pub(crate) fn hand_back(self) {
        self.0.short_waits.store(0, Ordering::Relaxed);
        self.0.lock().recalled = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut hands = self.0.lock();
        hands.caller = None;
        let mut called = std::mem::take(&mut hands.awaited);
        if std::mem::take(&mut hands.recalled) {
            self.0.let_go.store(false, Ordering::SeqCst);
            called = true;
        }
        // A call that came too late for this caller is the driver's.
        called |= self.0.rung.load(Ordering::SeqCst);
        let driver = if called { hands.driver.clone() } else { None };
        drop(hands);
        wake(driver);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Count {
        fn waker(self: &Arc<Self>) -> Waker {
            Waker::from(Arc::clone(self))
        }

        /// How often it was woken since the last time.
        fn take(&self) -> usize {
            self.0.swap(0, Ordering::Relaxed)
        }
    }

    /// A wheel that callers may have, its driver, and a caller.
    fn wheel() -> (Wheel, Arc<Count>, Arc<Count>) {
        let wheel = Wheel::default();
        let (driver, caller) = (Arc::<Count>::default(), Arc::<Count>::default());
        assert_eq!(look(&wheel, &driver, None), Role::Drives);
        for _ in 0..ENOUGH {
            assert!(wheel.take(&caller.waker()).is_none());
            wheel.waited(Duration::ZERO);
        }
        (wheel, driver, caller)
    }

    fn look(wheel: &Wheel, driver: &Arc<Count>, before: Option<Look>) -> Role {
        wheel.role(&Context::from_waker(&driver.waker()), before)
    }

    #[test]
    fn a_caller_whose_waits_are_short_drives() {
        let (wheel, driver, caller) = wheel();
        let turn = wheel.take(&caller.waker()).unwrap();
        assert_eq!(driver.take(), 1, "the driver lets go of what it watches");
        assert!(matches!(look(&wheel, &driver, None), Role::Watches(_)));
        assert_eq!(caller.take(), 1, "it may have looked before the driver was done");
        assert!(wheel.heard(), "what the driver had to do is the caller's now");
        look(&wheel, &driver, None);
        assert!(!wheel.heard(), "the driver has done nothing more");
        wheel.ring();
        wheel.ring();
        assert_eq!((caller.take(), driver.take()), (1, 0));
        assert!(wheel.heard() && !wheel.heard());
        drop(turn);
        let turn = wheel.take(&caller.waker()).unwrap();
        drop(turn);
        assert_eq!((caller.take(), driver.take()), (0, 0), "this is what it is for");
    }

    #[test]
    fn a_caller_looks_at_what_the_driver_did_before_it_let_go() {
        let (wheel, driver, caller) = wheel();
        drop(wheel.take(&caller.waker()));
        assert!(matches!(look(&wheel, &driver, None), Role::StandsIn(_)));
        let turn = wheel.take(&caller.waker()).unwrap();
        assert!(!wheel.heard(), "the caller looks while the driver is at it");
        assert!(matches!(look(&wheel, &driver, None), Role::Watches(_)));
        assert_eq!(caller.take(), 1);
        assert!(wheel.heard(), "it looks once more");
        drop(turn);
    }

    #[test]
    fn long_waits_and_data_in_bulk_are_the_drivers() {
        for discourage in [
            |wheel: &Wheel| wheel.waited(SHORT),
            Wheel::did_not_wait,
            Wheel::task_waits,
        ] {
            let (wheel, _, caller) = wheel();
            discourage(&wheel);
            assert!(wheel.take(&caller.waker()).is_none());
        }
    }

    #[test]
    fn a_call_that_comes_too_late_for_the_caller_is_the_drivers() {
        let (wheel, driver, caller) = wheel();
        let turn = wheel.take(&caller.waker()).unwrap();
        assert!(wheel.heard());
        driver.take();
        wheel.ring();
        drop(turn);
        assert_eq!(driver.take(), 1);
        wheel.ring();
        assert_eq!(driver.take(), 0, "it is on its way");
        assert!(matches!(look(&wheel, &driver, None), Role::StandsIn(_)));
        wheel.ring();
        assert_eq!(driver.take(), 1);
    }

    #[test]
    fn the_driver_comes_back_a_tick_after_the_last_caller() {
        let (wheel, driver, caller) = wheel();
        drop(wheel.take(&caller.waker()));
        let Role::StandsIn(first) = look(&wheel, &driver, None) else {
            panic!("nobody drives")
        };
        drop(wheel.take(&caller.waker()));
        let Role::StandsIn(second) = look(&wheel, &driver, Some(first)) else {
            panic!("a caller drove meanwhile")
        };
        assert_eq!(look(&wheel, &driver, Some(second)), Role::Drives);
    }

    #[test]
    fn the_driver_sleeps_while_a_caller_stays_and_is_woken_when_it_leaves() {
        let (wheel, driver, caller) = wheel();
        let turn = wheel.take(&caller.waker()).unwrap();
        assert!(wheel.heard());
        let Role::Watches(first) = look(&wheel, &driver, None) else {
            panic!("a caller drives")
        };
        assert_eq!(look(&wheel, &driver, Some(first)), Role::Sleeps);
        driver.take();
        drop(turn);
        assert_eq!(driver.take(), 1);
        assert!(matches!(look(&wheel, &driver, None), Role::StandsIn(_)));
    }

    #[test]
    fn the_driver_serves_those_who_wait_beside_a_caller() {
        let (wheel, driver, caller) = wheel();
        let turn = wheel.take(&caller.waker()).unwrap();
        assert!(wheel.take(&caller.waker()).is_none(), "there is one wheel");
        wheel.needs_driver();
        driver.take();
        drop(turn);
        assert_eq!(driver.take(), 1);
        assert_eq!(look(&wheel, &driver, None), Role::Drives);
        assert!(wheel.take(&caller.waker()).is_none(), "there are several");
    }

    #[test]
    fn the_driver_serves_those_who_wait_after_a_caller() {
        let (wheel, driver, caller) = wheel();
        drop(wheel.take(&caller.waker()));
        look(&wheel, &driver, None);
        driver.take();
        wheel.needs_driver();
        assert_eq!(driver.take(), 1);
        assert_eq!(look(&wheel, &driver, None), Role::Drives);
    }

    #[test]
    fn what_a_caller_cannot_wait_for_is_the_drivers() {
        let (wheel, driver, caller) = wheel();
        let turn = wheel.take(&caller.waker()).unwrap();
        assert!(!wheel.take_back(), "a caller drives");
        assert_eq!(caller.take(), 0, "it has been called before");
        assert!(wheel.heard());
        assert!(!wheel.take_back());
        assert_eq!(caller.take(), 1);
        turn.hand_back();
        assert_eq!(look(&wheel, &driver, None), Role::Drives);
        assert!(wheel.take(&caller.waker()).is_none());
    }
}
