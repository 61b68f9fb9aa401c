//! The examples of `docs/templates.md` give the results that are written there.

use drplan_template::{Template, Value};

const PAGE: &str = include_str!("../../../docs/templates.md");

fn data() -> Value {
    let hosts = vec![Value::from("a.example.com"), Value::from("b.example.com")];
    let params = Value::map()
        .with("region", "sz")
        .with("replicas", 3)
        .with("db-host", "db.example.com")
        .with("hosts", hosts)
        .with("comment", "")
        .with("missing-is-empty", "")
        .with("password", "p: \"x\"\nadmin: true")
        .with("labels", Value::map().with("app", "shop").with("tier", "1"));
    Value::map().with("params", params).with("planName", "shop")
}

#[test]
fn every_example_of_the_page_is_true() {
    let data = data();
    let examples: Vec<&str> = PAGE.split("```template ").skip(1).collect();
    assert!(examples.len() >= 8, "the page has {} examples", examples.len());
    for example in examples {
        let (place, rest) = example.split_once('\n').unwrap();
        let (source, rest) = rest.split_once("\n```\n```result\n").unwrap();
        let (expected, _) = rest.split_once("\n```").unwrap();
        let template = Template::parse(source).unwrap();
        let rendered = match place {
            "text" => template.render_text(&data),
            "yaml" => template.render_yaml(&data),
            "body" => template.render_body(&data),
            "url" => template.render_url(&data),
            other => panic!("no such place: {other}"),
        };
        assert_eq!(rendered.unwrap(), expected, "{source}");
    }
}

#[test]
fn the_page_names_every_function() {
    let error = Template::parse("{{ nosuch }}").unwrap_err().to_string();
    let (_, names) = error.split_once("These exist: ").unwrap();
    let section = PAGE
        .split("## Functions")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let words: Vec<&str> = section.split(|letter: char| !letter.is_alphanumeric()).collect();
    for name in names.split(' ') {
        assert!(words.contains(&name), "docs/templates.md does not name `{name}`");
    }
}
