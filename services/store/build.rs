//! Rebuilds the crate when a migration is added, which the macro that embeds them cannot see by itself.

#[allow(clippy::print_stdout, reason = "how a build script speaks to cargo")]
fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
