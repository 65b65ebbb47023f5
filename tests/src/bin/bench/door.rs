//! The firewall of a host whose daemon is none of ours: nobody gets in but for whom an element is in a set.

use knockgate_tests::scenes::SSH;

pub(crate) const TABLE: &str = "door";
pub(crate) const SET: &str = "open";

/// Rules under which `TABLE` and `SET` decide.
pub(crate) fn with_set() -> String {
    format!(
        "table inet {TABLE} {{\n\
         \tset {SET} {{ type ipv4_addr . inet_service; flags timeout; }}\n\
         \tchain incoming {{\n\
         \t\ttype filter hook input priority 0; policy drop;\n\
         \t\tct state established,related accept\n\
         \t\tiif lo accept\n\
         \t\tip saddr . tcp dport @{SET} accept\n\
         \t}}\n\
         }}\n"
    )
}

/// The same host behind Knockgate's guard, which decides about the guarded port before: everything else is dropped here.
pub(crate) fn behind_guard() -> String {
    format!(
        "table inet {TABLE} {{\n\
         \tchain incoming {{\n\
         \t\ttype filter hook input priority 0; policy drop;\n\
         \t\tct state established,related accept\n\
         \t\tiif lo accept\n\
         \t\ttcp dport {SSH} accept\n\
         \t}}\n\
         }}\n"
    )
}

/// A host without a daemon: three sets that the rules fill themselves, one for each step.
pub(crate) fn staged([first, second, third]: [u16; 3]) -> String {
    let set = |name: &str, seconds: u32| {
        format!("\tset {name} {{ type ipv4_addr; flags dynamic,timeout; timeout {seconds}s; size 65536; }}\n")
    };
    format!(
        "table inet {TABLE} {{\n{open}{one}{two}\
         \tchain incoming {{\n\
         \t\ttype filter hook input priority 0; policy drop;\n\
         \t\tct state established,related accept\n\
         \t\tiif lo accept\n\
         \t\ttcp dport {SSH} ip saddr @{SET} accept\n\
         \t\ttcp dport {first} add @one {{ ip saddr }} drop\n\
         \t\ttcp dport {second} ip saddr @one add @two {{ ip saddr }} drop\n\
         \t\ttcp dport {third} ip saddr @two add @{SET} {{ ip saddr }} drop\n\
         \t}}\n\
         }}\n",
        open = set(SET, 1),
        one = set("one", 5),
        two = set("two", 5),
    )
}
