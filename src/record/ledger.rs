//! The ledger: what became of every single delivery.

/// One row a subscriber and event, in columns. All rows of a ledger have every column.
///
/// Times are nanoseconds after the trial's epoch, the moment its schedule starts. Events
/// due in the warm-up are rows too: readers tell them by their due time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The simulated subscriber, counted from zero.
    pub subscriber: Vec<u32>,
    /// The event's sequence number, counted from one.
    pub sequence: Vec<u64>,
    /// When the schedule wanted the event.
    pub due: Vec<u64>,
    /// When it entered the source's log.
    pub emitted: Vec<u64>,
    /// When the first copy's last byte was in the subscriber's hands; `None` if lost.
    pub arrived: Vec<Option<u64>>,
    /// When the first copy was verified, parsed and deduplicated; `None` if lost.
    pub usable: Vec<Option<u64>>,
    /// Copies that arrived.
    pub copies: Vec<u32>,
}
