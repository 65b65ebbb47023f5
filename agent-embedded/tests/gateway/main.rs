//! The gateway between two cables in memory: real TCP stacks on both sides, virtual time, no threads and no sleeps.
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what helps it")]
#![allow(clippy::cast_possible_truncation, reason = "bytes and ports are made of numbers that count")]

mod board;
mod bridge;
mod cable;
mod config;
mod console;
mod dhcp;
mod faults;
mod floods;
mod follow;
mod host;
mod knocker;
mod knocks;
mod longevity;
mod neighbours;
mod packets;
mod raw;
mod reference;
mod rules;
mod shut;
mod silence;
mod sys;
mod world;
