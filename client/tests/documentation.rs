//! What docs/client.md says about the settings file is what the parser understands.
#![allow(clippy::unwrap_used, reason = "a page that cannot be read fails its test")]

use knockgate::settings::parse;

const PAGE: &str = include_str!("../../docs/client.md");

#[test]
fn the_example_is_understood() {
    let example = PAGE.split("```").find(|part| part.contains("DefaultProfile home")).unwrap();
    let settings = parse(example).unwrap();
    assert_eq!(settings.default_profile, Some("home".parse().unwrap()));
    assert_eq!(settings.of(&"home".parse().unwrap()).seconds, Some(3600));
    assert_eq!(settings.of(&"office-lab".parse().unwrap()).address, None);
}

#[test]
fn every_keyword_is_in_the_table() {
    let problem = parse("Colour red").unwrap_err().remove(0).what;
    let (_, keywords) = problem.split_once("keywords are ").unwrap();
    for keyword in keywords.split(", ").filter(|&keyword| keyword != "Profile") {
        assert!(PAGE.contains(&format!("\n| `{keyword}` | ")), "{keyword}");
    }
}
