use ParameterKind::{Days, Minute, Networks, Number, Numbers, Seconds};
use alloc::borrow::ToOwned;
use alloc::string::ToString;

use super::*;

const V4: u64 = 0xffff_0000_0000;

#[test]
fn what_is_given_becomes_the_values_of_its_kind() {
    let cases: &[(ParameterKind, &[&str], &[u64])] = &[
        (Number, &["0"], &[0]),
        (Number, &["18446744073709551615"], &[u64::MAX]),
        (Numbers, &["7", "9 12"], &[7, 9, 12]),
        (Seconds, &["90"], &[90]),
        (Seconds, &["90s"], &[90]),
        (Seconds, &["5m"], &[300]),
        (Seconds, &["8h"], &[28_800]),
        (Seconds, &["7d"], &[604_800]),
        (Minute, &["00:00"], &[0]),
        (Minute, &["8:05"], &[485]),
        (Minute, &["23:59"], &[1439]),
        (Minute, &["24:00"], &[1440]),
        (Days, &["mon"], &[1]),
        (Days, &["Mon-FRI"], &[1, 2, 3, 4, 5]),
        (Days, &["sun", "tue mon"], &[1, 2, 7]),
        (Days, &["fri-mon"], &[1, 5, 6, 7]),
        (Days, &["wed-wed"], &[3]),
        (Days, &["mon-sun", "tue"], &[1, 2, 3, 4, 5, 6, 7]),
        (Networks, &["192.0.2.0/24"], &[0, V4 | 0xc000_0200, 120]),
        (Networks, &["192.0.2.7"], &[0, V4 | 0xc000_0207, 128]),
        (Networks, &["0.0.0.0/0"], &[0, V4, 96]),
        (Networks, &["::/0"], &[0, 0, 0]),
        (Networks, &["2001:db8::/32 ::1"], &[0x2001_0db8_0000_0000, 0, 32, 0, 1, 128]),
        (Networks, &["::ffff:192.0.2.0/120"], &[0, V4 | 0xc000_0200, 120]),
    ];
    for (number, (kind, given, expected)) in cases.iter().enumerate() {
        assert_eq!(values(*kind, &texts(given)).as_deref(), Ok(*expected), "case {number}: {given:?}");
    }
}

#[test]
fn a_mistake_is_named_with_what_to_write_instead() {
    let cases: &[(ParameterKind, &[&str], &str)] = &[
        (Number, &["-1"], "\"-1\" is no number; write it in digits"),
        (Number, &["+1"], "\"+1\" is no number; write it in digits"),
        (Number, &["18446744073709551616"], "\"18446744073709551616\" is no number; write it in digits"),
        (Number, &["1 2"], "2 values are given and it takes one; give one"),
        (Number, &[], "nothing is given; give a value, or leave the parameter out"),
        (Number, &[" "], "nothing is given; give a value, or leave the parameter out"),
        (
            Seconds,
            &["5x"],
            "\"5x\" is no time in seconds; write digits and a unit without a space: `90s`, `5m`, `8h` or `7d`",
        ),
        (
            Seconds,
            &["s"],
            "\"s\" is no time in seconds; write digits and a unit without a space: `90s`, `5m`, `8h` or `7d`",
        ),
        (
            Seconds,
            &["213503982334602d"],
            "\"213503982334602d\" is no time in seconds; write digits and a unit without a space: `90s`, `5m`, `8h` or `7d`",
        ),
        (Minute, &["08:61"], "\"08:61\" is no time of day; write HH:MM, from 00:00 to 24:00"),
        (Minute, &["24:01"], "\"24:01\" is no time of day; write HH:MM, from 00:00 to 24:00"),
        (Minute, &["8"], "\"8\" is no time of day; write HH:MM, from 00:00 to 24:00"),
        (Minute, &[":30"], "\":30\" is no time of day; write HH:MM, from 00:00 to 24:00"),
        (Minute, &["008:00"], "\"008:00\" is no time of day; write HH:MM, from 00:00 to 24:00"),
        (
            Days,
            &["mo"],
            "\"mo\" is no day; write mon, tue, wed, thu, fri, sat or sun, or a range such as mon-fri",
        ),
        (
            Days,
            &["mon-"],
            "\"mon-\" is no day; write mon, tue, wed, thu, fri, sat or sun, or a range such as mon-fri",
        ),
        (
            Networks,
            &["192.0.2.0/33"],
            "\"192.0.2.0/33\" is no network; write an address and its bits, such as 192.0.2.0/24 or 2001:db8::/32",
        ),
        (
            Networks,
            &["office"],
            "\"office\" is no network; write an address and its bits, such as 192.0.2.0/24 or 2001:db8::/32",
        ),
        (
            Networks,
            &["192.0.2.0/"],
            "\"192.0.2.0/\" is no network; write an address and its bits, such as 192.0.2.0/24 or 2001:db8::/32",
        ),
        (
            Networks,
            &["192.0.2.7/24"],
            "\"192.0.2.7/24\" is an address inside a network; write 192.0.2.0/24 for the network, or leave out /24",
        ),
        (
            Networks,
            &["2001:db8::1/32"],
            "\"2001:db8::1/32\" is an address inside a network; write 2001:db8::/32 for the network, or leave out /32",
        ),
        (
            Networks,
            &["::ffff:192.0.2.7/120"],
            "\"::ffff:192.0.2.7/120\" is an address inside a network; write ::ffff:192.0.2.0/120 for the network, or leave out /120",
        ),
    ];
    for (number, (kind, given, expected)) in cases.iter().enumerate() {
        let error = values(*kind, &texts(given)).unwrap_err().to_string();
        assert_eq!(error, *expected, "case {number}");
    }
}

#[test]
fn a_parameter_has_at_most_the_values_that_it_has_keys() {
    let numbers = |count: usize| alloc::vec!["1".to_owned(); count];
    assert_eq!(values(Numbers, &numbers(255)).unwrap().len(), 255);
    assert_eq!(values(Numbers, &numbers(256)), Err(ParameterError::TooMany { limit: 255 }));
    let networks = |count: usize| alloc::vec!["::1".to_owned(); count];
    assert_eq!(values(Networks, &networks(85)).unwrap().len(), 255);
    assert_eq!(values(Networks, &networks(86)), Err(ParameterError::TooMany { limit: 255 }));
}

#[test]
fn a_policy_is_answered_by_index_whatever_the_order_in_the_configuration() {
    let given = [Parameter::new("days", ["tue", "mon"]), Parameter::new("open", ["2"])];
    let parameters = resolve(&given).unwrap();

    let block = |index: u32, key: u32| parameters.number(PARAMETERS + 256 * index + key);
    assert_eq!([block(0, 0), block(0, 1), block(0, 2)], [Some(1), Some(2), None]);
    assert_eq!([block(1, 0), block(1, 1)], [None, None], "`from` is not given");
    assert_eq!([block(2, 0), block(2, 1), block(2, 2), block(2, 3)], [Some(2), Some(1), Some(2), None]);
    assert_eq!(block(3, 0), None, "there is no fourth parameter");
    for key in [0, 1, PARAMETERS - 1, PARAMETERS + 256 * 16, u32::MAX] {
        assert_eq!(parameters.number(key), None, "key {key}");
    }
}

#[test]
fn an_unknown_or_repeated_parameter_is_refused_by_name() {
    let two = |name: &str, error: &str| (name.to_owned(), error.to_owned());
    let refused = |given: &[Parameter]| resolve(given).map_err(|(name, error)| (name, error.to_string()));
    let twice = [Parameter::new("open", ["2"]), Parameter::new("open", ["3"])];

    assert_eq!(
        refused(&[Parameter::new("opne", ["2"])]),
        Err(two("opne", "this policy takes open, from, days; correct the name"))
    );
    assert_eq!(refused(&twice), Err(two("open", "it is given twice; put everything in one list")));
    let bare = Manifest::parse(b"abi=1.0\nname=x").unwrap();
    let (_, error) = Parameters::resolve(&bare, &[Parameter::new("a", ["1"])]).unwrap_err();
    assert_eq!(error.to_string(), "this policy takes no parameters; remove it");
}

fn resolve(given: &[Parameter]) -> Result<Parameters, (String, ParameterError)> {
    let manifest = Manifest::parse(b"abi=1.0\nname=x\nparameters=open:number from:minute days:days").unwrap();
    Parameters::resolve(&manifest, given)
}

fn texts(given: &[&str]) -> Vec<String> {
    given.iter().map(|text| (*text).to_owned()).collect()
}
