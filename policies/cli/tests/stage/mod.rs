//! What the tests share: a folder, and runs of the real program in it.
#![allow(dead_code, unreachable_pub, reason = "every test file includes this and uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own for a test.
pub struct Place(TempDir);

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// A module from text.
    pub fn module(&self, name: &str, text: &str) -> PathBuf {
        self.write(name, wat::parse_str(text).unwrap())
    }

    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.command(arguments).output().unwrap().into()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_knockgate-policy"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null()).env("PATH", with_tools());
        command
    }
}

/// PATH, and before it what `cargo xtask setup` has installed.
pub fn with_tools() -> OsString {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths([tools].into_iter().chain(env::split_paths(&path))).unwrap()
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("the program was not killed"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Finished {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Ends well and says this.
    #[track_caller]
    pub fn says(&self, part: &str) -> &Self {
        assert!(self.code == 0 && self.stdout.contains(part), "{part:?} is not in {self:?}");
        self
    }

    /// Ends with this code and complains so.
    #[track_caller]
    pub fn complains(&self, code: i32, part: &str) -> &Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.contains(part), "{part:?} is not in {self:?}");
        assert!(self.stderr.contains("; see docs/"), "no place in the guide: {self:?}");
        self
    }
}

/// Opens what was asked for and counts under 1 how often; within the edge profile.
pub const COUNTING: &str = r#"(module
  (import "knockgate:policy/event@1.0.0" "attr" (func $attr (param i32) (result i64)))
  (import "knockgate:policy/act@1.0.0" "open" (func $open (param i32 i32) (result i32)))
  (import "knockgate:policy/state@1.0.0" "load" (func $load (param i32) (result i64)))
  (import "knockgate:policy/state@1.0.0" "store" (func $store (param i32 i64) (result i32)))
  (@custom "knockgate.manifest"
    "abi=1.0\0aname=counting\0aversion=2\0aservices=*\0acapabilities=open state\0afuel=1000\0apages=1\0a")
  (func (export "decide") (result i32)
    (if (i64.ge_u (call $load (i32.const 1)) (i64.const 2)) (then (return (i32.const 1))))
    (drop (call $store (i32.const 1) (i64.add (call $load (i32.const 1)) (i64.const 1))))
    (i32.ne (i32.const 0)
      (call $open (i32.wrap_i64 (call $attr (i32.const 30))) (i32.wrap_i64 (call $attr (i32.const 32)))))))"#;

/// Denies everything.
pub const DENYING: &str = r#"(module
  (@custom "knockgate.manifest" "abi=1.0\0aname=denying\0a")
  (func (export "decide") (result i32) (i32.const 1)))"#;
