//! Parses and renders any text for every place: no panic, no hang, no output beyond the limit.

#![no_main]

use std::sync::LazyLock;

use drplan_template::{Limits, Template, Value};
use libfuzzer_sys::fuzz_target;

static DATA: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../tests/corpus/data.json");
    serde_json::from_str::<serde_json::Value>(text).expect("the data is JSON").into()
});

const LIMITS: Limits = Limits { steps: 20_000, depth: Limits::DEPTH, output: 64 * 1024 };

fuzz_target!(|source: &str| {
    let Ok(template) = Template::parse(source) else { return };
    let template = template.with_limits(LIMITS);
    template.render_value(&DATA).ok();
    let texts = [
        template.render_text(&DATA),
        template.render_yaml(&DATA),
        template.render_body(&DATA),
        template.render_url(&DATA),
        template.render_header(&DATA),
    ];
    for text in texts.into_iter().flatten() {
        assert!(text.len() <= 8 * LIMITS.output);
    }
});
