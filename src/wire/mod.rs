//! Any HTTP conversation: counted sockets, a server loop, clients, and what guards them:
//! signatures, authentication, rate limits, pacing, retries.
//!
//! Mechanisms reach the network only through this floor, so that exchanges, connections and
//! bytes are counted alike for all of them, and so that an arrival means the same for all:
//! the last byte of the message was in the process's hands.

pub mod auth;
pub mod body;
pub mod bounds;
pub mod client;
pub mod connection;
pub mod delay;
pub mod destination;
pub mod event_stream;
pub mod guard;
pub mod integrator;
pub mod limit;
pub mod link;
pub mod origin;
pub mod pacing;
pub mod prefer;
pub mod reply;
pub mod retry;
pub mod room;
pub mod routes;
pub mod server;
pub mod signature;
pub mod socket;
pub mod tally;
mod tasks;
pub mod tls;
pub mod trouble;
pub mod validator;
pub mod websocket;
