//! The program as its users have it: a child process, its ports, its files, its exit code.

mod admin;
mod api;
mod cli;
mod crash;
mod demo;
mod otlp;
mod process;
