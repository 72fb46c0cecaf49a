//! The path between the source and its subscribers: what is asked of it, and how it is made.
//!
//! [`asked`] and [`profile`] say what lies between the two, [`tier`] which of three ways makes it
//! on this machine, [`way`] when what enters a path leaves it. [`namespace`] and [`router`] make a
//! path of packets: network namespaces with a router of this program between them, so that the
//! kernel's own TCP meets the distance; [`netem`] makes one where the kernel can itself. Nothing of it has a name in the file system, and all of it
//! ends with the processes that hold it.

pub mod asked;
pub mod namespace;
pub mod netem;
mod netlink;
pub mod offer;
pub mod profile;
pub mod router;
pub mod tier;
pub mod traffic;
pub mod way;
