//! Faults that can be planted in a run on purpose, to prove that its checks notice.
//!
//! `pollpush run SCENARIO --inject FAULT` plants one; the run says so and is invalid. A check
//! that no fault can trip is decoration, so every check names the fault that must trip it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Makes the list of faults: each with its words.
macro_rules! faults {
    ($($fault:ident $name:literal $words:literal,)+) => {
        /// Something that is made to go wrong on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Fault {
            $(#[doc = $words] $fault,)+
        }

        impl Fault {
            /// Every fault, in the order of the checks they are for.
            pub const ALL: &[Fault] = &[$(Fault::$fault,)+];

            /// Its name, as `--inject` takes it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Fault::$fault => $name,)+
                }
            }

            /// What it does, in words.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self {
                    $(Fault::$fault => $words,)+
                }
            }
        }
    };
}

faults! {
    StallSource "stall-source" "stops the source process (SIGSTOP) for 200 ms in the middle of the window",
    BunchEvents "bunch-events" "lets the pacer sleep for 60 ms after every 250 ms, so that events catch up in bursts",
    HalveRate "halve-rate" "lets the pacer leave out every second event",
    BlockReceiver "block-receiver" "blocks the subscribers' thread for 6 ms with every event",
    BurnReceiver "burn-receiver" "lets the subscribers calculate for 6 ms with every event",
    BusyMachine "busy-machine" "keeps every CPU busy with two endless loops each",
    StealTime "steal-time" "adds a twentieth of the CPU time to what the hypervisor is said to have taken",
    ThrottleGroup "throttle-group" "adds 100 ms of throttling to what the control group is said to have suffered",
    DropDelivery "drop-delivery" "lets the inbox overlook every fortieth event",
    DuplicateDelivery "duplicate-delivery" "delivers every fortieth event twice",
    SwapDeliveries "swap-deliveries" "holds every fortieth event back until the next one has been accepted",
    ForgeDelivery "forge-delivery" "lets the subscribers refuse every fortieth event as if its signature were wrong",
    LockOut "lock-out" "counts every fortieth delivery as refused for want of credentials",
    RampDelay "ramp-delay" "blocks the subscribers longer and longer with every event, up to 4 ms",
    SlowStart "slow-start" "blocks the subscribers for 4 ms with every event of the first third of the window",
    WanderingDelay "wandering-delay" "blocks the subscribers with every event for a time that wanders slowly between 0 and 4 ms",
    UnevenBlocks "uneven-blocks" "blocks the subscribers with every event, for longer in every second block",
    ShiftClock "shift-clock" "stamps arrivals 5 ms too early",
    StepWallClock "step-wall-clock" "adds 1 s to what the wall clock is said to have moved",
    DullTimers "dull-timers" "gives timers a slack of 5 ms",
    MisreadCpu "misread-cpu" "doubles the CPU time that the subscribers read of themselves",
    SlowCpu "slow-cpu" "makes the fixed piece of work twice as long after the trial",
    DoubleLatency "double-latency" "adds 20 ms to every latency after it was measured",
    BiasBeat "bias-beat" "makes the interval of polls 2 % longer than asked",
    OutrunLight "outrun-light" "stamps every event as usable 1 µs after it was emitted",
    MiscountBytes "miscount-bytes" "counts a twentieth more bytes than were sent",
    MiscountConnections "miscount-connections" "counts five connections more than were opened in the window",
    MiscountExchanges "miscount-exchanges" "counts an exchange that never was",
    OverflowListener "overflow-listener" "dials a listener that accepts nothing until the kernel drops connections",
    LoseRow "lose-row" "loses the last row of the subscribers' report",
    BiasArm "bias-arm" "calculates for 0.1 ms with every event of the second strategy",
    HeatUp "heat-up" "blocks the subscribers with every event, for longer the later in its block a trial comes",
    ChangeEnvironment "change-environment" "changes the congestion control that the second trial is said to have run under",
    FaultPages "fault-pages" "adds major page faults to what the subscribers are said to have suffered",
    ShortRoundTrip "short-round-trip" "makes the round trip of the path a fifth shorter than was asked for",
    LoseMore "lose-more" "lets a path of packets lose twice as many as it is asked to",
    KillSubscriber "kill-subscriber" "kills the first subscriber process (SIGKILL) in the middle of the first window",
    Middleman "middleman" "adds a Via header, as a proxy does, to what the source and the receivers read",
    Migrate "migrate" "moves the subscribers to another CPU in the middle of the window",
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;
    use std::collections::BTreeSet;

    #[test]
    fn files_and_the_command_line_use_the_same_names() {
        let names: BTreeSet<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
        for fault in Fault::ALL {
            let written = serde_json::to_value(fault).expect("JSON");
            assert_eq!(written, fault.name());
            assert!(!fault.words().ends_with('.'));
        }
    }
}
