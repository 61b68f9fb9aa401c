//! Doc comments of what no schema holds, from its source.

/// The doc comment and the line of every item whose line begins with `prefix`.
pub(super) fn documented(source: &str, prefix: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut doc = String::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
        } else if line.starts_with(prefix) && !line.starts_with("#[") {
            found.push((std::mem::take(&mut doc).trim().to_owned(), line.to_owned()));
        } else if !line.starts_with("#[") {
            doc.clear();
        }
    }
    found
}

/// The doc comment and the name of every variant of the enum `name`.
pub(super) fn variants(source: &str, name: &str) -> Vec<(String, String)> {
    let (_, rest) = source.split_once(&format!("pub enum {name} {{\n")).unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    documented(body, "")
        .into_iter()
        .filter(|(_, line)| line.ends_with(','))
        .map(|(doc, line)| (doc, line.trim_end_matches(',').to_owned()))
        .collect()
}
