//! Markdown, as far as the guide uses it.

/// A heading and what stands under it.
pub(crate) struct Part<'a> {
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
}

/// The parts that begin with this kind of heading. Commands have no line that begins so.
pub(crate) fn parts<'a>(text: &'a str, heading: &str) -> Vec<Part<'a>> {
    let split = format!("\n{heading}");
    let part = |text: &'a str| {
        let (title, text) = text.split_once('\n')?;
        Some(Part { title, text })
    };
    text.split(split.as_str()).skip(1).filter_map(part).collect()
}

/// The fenced blocks of this language, each with a line end at its end.
pub(crate) fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    text.split(begin.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}
