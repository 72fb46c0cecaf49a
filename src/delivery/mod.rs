//! The ways of delivering an event: what varies, one file each.
//!
//! A mechanism's file holds both halves of its conversation, its settings and its tests. The
//! scenario language, the listing, the contract tests and the plots learn of it from the one
//! list below. What several mechanisms share beside that has a file without a mechanism.

pub mod contract;
pub mod feed_reader;
pub mod hybrid;
pub mod long_poll;
pub mod null;
pub mod poll;
pub mod poller;
pub mod push;
pub mod sse;
pub mod stream;
pub mod webhook;
pub mod webhook_reconcile;
pub mod websocket;

use contract::{Kind, Mechanism};

/// Every mechanism, in the order they are listed.
pub const MECHANISMS: &[&dyn Mechanism] = &[
    &Kind::<poll::Poll>::new(),
    &Kind::<long_poll::LongPoll>::new(),
    &Kind::<webhook::Webhook>::new(),
    &Kind::<hybrid::Hybrid>::new(),
    &Kind::<webhook_reconcile::WebhookReconcile>::new(),
    &Kind::<sse::Sse>::new(),
    &Kind::<websocket::WebSocket>::new(),
    &Kind::<null::Null>::new(),
];
