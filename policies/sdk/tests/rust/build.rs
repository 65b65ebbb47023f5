//! Rust reserves 1 MiB of stack in WebAssembly, 16 pages; a policy for a gateway has one page.

fn main() {
    println!("cargo::rustc-link-arg=-zstack-size=4096");
}
