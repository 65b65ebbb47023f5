//! `knockgated`, the Knockgate gate for Linux servers.

fn main() -> std::process::ExitCode {
    knockgate_agent::cli::main()
}
