//! Names of the tables, `second-factor` or `not permitted`, as languages write them.

/// `second_factor`
pub(super) fn snake(name: &str) -> String {
    name.replace(['-', ' '], "_")
}

/// `SECOND_FACTOR`
pub(super) fn capitals(name: &str) -> String {
    snake(name).to_uppercase()
}

/// `SecondFactor`
pub(super) fn pascal(name: &str) -> String {
    name.split(['-', ' ']).map(capitalised).collect()
}

/// `secondFactor`
pub(super) fn camel(name: &str) -> String {
    let name = pascal(name);
    let (first, rest) = name.split_at(1);
    format!("{}{rest}", first.to_lowercase())
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    format!("{}{rest}", first.to_uppercase())
}
