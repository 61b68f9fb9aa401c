//! The ids in the specification.

/// All ids in their order. Scenarios are `US<story>.<number>`; edge cases, which have no ids, are counted.
pub(crate) fn ids(text: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut story = None;
    let mut edge_cases = None;
    for line in text.lines() {
        if line.starts_with('#') {
            story = line
                .strip_prefix("### User Story ")
                .and_then(|rest| rest.split(' ').next());
            edge_cases = (line == "### Edge Cases").then_some(0);
        } else if let (Some(story), Some((number, "**Given**"))) = (story, numbered(line)) {
            ids.push(format!("US{story}.{number}"));
        } else if let (Some(count), true) = (&mut edge_cases, line.starts_with("- ")) {
            *count += 1;
            ids.push(format!("EC-{count}"));
        } else if let Some((id, _)) = line.strip_prefix("- **").and_then(|rest| rest.split_once("**: "))
            && (id.starts_with("FR-") || id.starts_with("SC-"))
        {
            ids.push(id.to_owned());
        }
    }
    ids
}

/// The number of a list item and the first word behind it.
fn numbered(line: &str) -> Option<(&str, &str)> {
    let (number, rest) = line.split_once(". ")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| (number, rest.split(' ').next().unwrap_or_default()))
}

#[test]
fn ids_are_found_in_their_order() {
    let text = "### User Story 4a - x\n\n1. **Given** a\n2. **Given** b\n\n### Edge Cases\n- c\n- d\n\n## R\n1. **Given** e\n- **FR-004a**: f\n- **Q**: g\n- **SC-001**: h\n";
    assert_eq!(
        ids(text),
        ["US4a.1", "US4a.2", "EC-1", "EC-2", "FR-004a", "SC-001"]
    );
}
