use drplan_api::{crds, crds_yaml};
use serde_json::Value;

fn definitions() -> Vec<Value> {
    crds()
        .iter()
        .map(|crd| serde_json::to_value(crd).unwrap())
        .collect()
}

/// Calls `visit` with every schema below `schema` and its path.
fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            walk(&format!("{path}{suffix}"), &schema[key], visit);
        }
    }
}

#[test]
fn definitions_install_with_plain_apply() {
    for crd in definitions() {
        let size = crd.to_string().len();
        assert!(size < 256 * 1024, "{}: {size} bytes", crd["metadata"]["name"]);
    }
    let yaml = crds_yaml().unwrap();
    assert_eq!(yaml, crds_yaml().unwrap());
    let read: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
    assert_eq!(read, definitions());
}

#[test]
fn schemas_hold_shapes_and_leave_rules_to_the_checker() {
    for crd in definitions() {
        let version = &crd["spec"]["versions"][0];
        assert_eq!(version["subresources"], serde_json::json!({"status": {}}));
        let schema = &version["schema"]["openAPIV3Schema"];
        walk("", schema, &mut |path, schema| {
            let format = schema["format"].as_str().unwrap_or_default();
            assert!(!format.starts_with("uint"), "{path}: {format}");
            assert!(schema.get("default").is_none(), "{path} has a default");
            for combined in ["anyOf", "oneOf", "allOf", "not", "$ref"] {
                assert!(schema.get(combined).is_none(), "{path} has {combined}");
            }
            if path.starts_with(".spec") {
                for rule in ["enum", "required", "pattern", "minimum", "maxLength", "maxItems"] {
                    assert!(schema.get(rule).is_none(), "{path} has {rule}");
                }
                let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
                assert!(
                    open || schema["type"].is_string(),
                    "{path} has no type and is not open"
                );
                let leaf = path.ends_with("[]") || path.ends_with("{}") || path == ".spec";
                assert!(
                    leaf || schema["description"].is_string(),
                    "{path} has no description"
                );
            }
        });
    }
}

/// Covers FR-001, FR-018, FR-024.
#[test]
fn names_and_columns_are_those_of_the_contract() {
    let expect = [
        (
            "drworkflows",
            "drwf",
            "Actions .status.actionCount integer, Phase .status.phase string",
        ),
        (
            "drplans",
            "drp",
            "Stages .status.stageCount integer, Phase .status.phase string, \
             Current .status.currentExecution.name string",
        ),
        (
            "drplanexecutions",
            "drpe",
            "Plan .status.plan string, Operation .status.operationType string, Phase .status.phase string, \
             Progress .status.progress string",
        ),
    ];
    for (crd, (plural, short, columns)) in definitions().iter().zip(expect) {
        assert_eq!(crd["metadata"]["name"], format!("{plural}.dr.bkbcs.tencent.com"));
        assert_eq!(crd["spec"]["scope"], "Namespaced");
        let names = &crd["spec"]["names"];
        assert_eq!(names["plural"], plural);
        assert_eq!(names["shortNames"], serde_json::json!([short]));
        assert_eq!(names["categories"], serde_json::json!(["drplan-all"]));
        let found = crd["spec"]["versions"][0]["additionalPrinterColumns"]
            .as_array()
            .unwrap();
        let text = |column: &Value, key: &str| column[key].as_str().unwrap().to_owned();
        let found: Vec<String> = found
            .iter()
            .map(|column| {
                ["name", "jsonPath", "type"]
                    .map(|key| text(column, key))
                    .join(" ")
            })
            .collect();
        assert_eq!(
            found.join(", "),
            format!("{columns}, Age .metadata.creationTimestamp date")
        );
    }
}

#[test]
fn a_category_never_shadows_a_kind() {
    let definitions = definitions();
    let categories: Vec<&Value> = definitions
        .iter()
        .flat_map(|crd| crd["spec"]["names"]["categories"].as_array())
        .flatten()
        .collect();
    for crd in &definitions {
        let names = &crd["spec"]["names"];
        for name in [&names["plural"], &names["singular"], &names["shortNames"][0]] {
            assert!(
                !categories.contains(&name),
                "`kubectl get {name}` would be read as the category"
            );
        }
    }
}
