//! Prints the C header: `cargo run -p knockgate-policy-abi --example c_header > policies/sdk/c/knockgate.h`.

fn main() {
    let mut header = String::new();
    knockgate_policy_abi::c_header::write(&mut header).expect("a String takes everything");
    print!("{header}");
}
