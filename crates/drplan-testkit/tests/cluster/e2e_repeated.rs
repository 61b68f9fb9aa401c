//! What is done several times, by one workflow or to one object: each is undone as it was done, and nobody takes from
//! another.

use drplan_testkit::TestNamespace;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::{
    fixtures::{
        Manifest, action_of, apply, apply_plan, call, clusternet, clusternet_api, config_map, create,
        execution, execution_until, executions, phases, plan, post, released, resource, revert, text,
        workflow,
    },
    shared,
};

/// The data of a ConfigMap, `"mode=dr site=b"`; none if there is no such object.
async fn data(t: &TestNamespace, name: &str) -> anyhow::Result<Option<String>> {
    let map = t.api::<ConfigMap>().get_opt(name).await?;
    Ok(map.map(|map| {
        let data = map.data.unwrap_or_default().into_iter();
        let pairs = data.map(|(key, value)| format!("{key}={value}"));
        pairs.collect::<Vec<_>>().join(" ")
    }))
}

async fn make(t: &TestNamespace, name: &str) -> anyhow::Result<()> {
    let map = json!({"metadata": {"name": name}, "data": {"mode": "normal"}});
    let maps = t.api::<ConfigMap>();
    maps.create(&PostParams::default(), &serde_json::from_value(map)?)
        .await?;
    Ok(())
}

/// Uses the workflow once for each of these sites.
fn moved(name: &str, sites: &[&str], fields: Value) -> Manifest {
    let uses: Vec<Value> = sites
        .iter()
        .map(|site| json!({"workflowRef": {"name": "move"}, "params": [{"name": "site", "value": site}]}))
        .collect();
    let mut stage = fields;
    stage["name"] = "main".into();
    stage["workflows"] = uses.into();
    plan(name).with("stages", json!([stage]))
}

#[tokio::test]
async fn each_use_of_a_workflow_is_undone_with_its_own_parameters() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let site = "{{ .params.site }}";
        let url = |path: &str| {
            t.stand_in
                .url(&format!("/{path}/{{{{ .executionName }}}}/{site}"))
        };
        let mode = |mode: &str| config_map(&format!("there-{site}"), &format!("mode: {mode}-{site}"));
        let flow = workflow("move")
            .parameter(json!({"name": "site", "type": "string", "required": true}))
            .action(post("to", &url("to")).undone_by(call("", "PUT", &url("from"))))
            .action(resource(
                "make",
                "Create",
                &config_map(&format!("made-{{{{ .planName }}}}-{site}"), "a: b"),
            ))
            .action(resource("patch", "Patch", &mode("dr")).undone_by(resource("", "Patch", &mode("back"))));
        apply(t, &flow).await?;
        let sites = ["a", "b", "c"];
        for site in sites {
            make(t, &format!("there-{site}")).await?;
        }
        apply(t, &moved("chain", &sites, json!({}))).await?;
        apply(t, &moved("beside", &sites, json!({"parallel": true}))).await?;
        for name in ["chain", "beside"] {
            create(t, &execution(name, name)).await?;
            execution_until(t, name, "Succeeded").await?;
            released(t, name).await?;
            for site in sites {
                assert_eq!(
                    data(t, &format!("made-{name}-{site}")).await?.as_deref(),
                    Some("a=b")
                );
                let there = data(t, &format!("there-{site}")).await?;
                assert_eq!(there, Some(format!("mode=dr-{site}")));
            }
            create(t, &revert(&format!("back-{name}"), name, name)).await?;
            let undone = execution_until(t, &format!("back-{name}"), "Succeeded").await?;
            released(t, &format!("back-{name}")).await?;
            let each = "to Succeeded, make Succeeded, patch Succeeded";
            assert_eq!(phases(&undone), [each; 3].join(", "));
            let uid = executions(t).get(name).await?.metadata.uid.unwrap_or_default();
            for (index, site) in sites.into_iter().enumerate() {
                assert_eq!(data(t, &format!("made-{name}-{site}")).await?, None);
                let there = data(t, &format!("there-{site}")).await?;
                assert_eq!(there, Some(format!("mode=back-{site}")));
                for (path, undo) in [("to", ""), ("from", "/undo")] {
                    assert_eq!(
                        t.stand_in.count_by_key(&format!("/{path}/{name}/{site}")),
                        [(format!("{uid}/main/move[{index}]/to{undo}"), 1)].into()
                    );
                }
            }
        }
        let paths: Vec<String> = t.stand_in.all().into_iter().map(|request| request.path).collect();
        assert_eq!(
            paths[..6],
            [
                "/to/chain/a",
                "/to/chain/b",
                "/to/chain/c",
                "/from/chain/c",
                "/from/chain/b",
                "/from/chain/a"
            ]
        );
        Ok(())
    };
    shared().await?.with_namespace("repeated-uses", test).await
}

#[tokio::test]
async fn applies_on_one_object_keep_each_others_fields() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let actions = [
            resource(
                "one",
                "Apply",
                &config_map("shared", "one: \"{{ .executionName }}\""),
            ),
            resource(
                "two",
                "Apply",
                &config_map("shared", "two: \"{{ .executionName }}\""),
            ),
        ];
        apply_plan(t, "shop", &actions).await?;
        // The field managers are the same in every run.
        for run in ["run-1", "run-2"] {
            create(t, &execution(run, "shop")).await?;
            let done = execution_until(t, run, "Succeeded").await?;
            released(t, run).await?;
            assert_eq!(data(t, "shared").await?, Some(format!("one={run} two={run}")));
            let created = |name: &str| action_of(&done, &format!("main/shop[0]/{name}"))["created"] == true;
            assert_eq!((created("one"), created("two")), (run == "run-1", false));
        }
        // What an action does not write any more goes, the other's stays.
        let actions = [
            resource("one", "Apply", &config_map("shared", "more: one")),
            actions[1].clone(),
        ];
        apply_plan(t, "shop", &actions).await?;
        create(t, &execution("run-3", "shop")).await?;
        execution_until(t, "run-3", "Succeeded").await?;
        released(t, "run-3").await?;
        assert_eq!(data(t, "shared").await?.as_deref(), Some("more=one two=run-3"));

        // Only the run that made it deletes it.
        create(t, &revert("back-3", "shop", "run-3")).await?;
        let skipped = execution_until(t, "back-3", "Succeeded").await?;
        released(t, "back-3").await?;
        assert_eq!(phases(&skipped), "one Skipped, two Skipped");
        assert_eq!(data(t, "shared").await?.as_deref(), Some("more=one two=run-3"));
        create(t, &revert("back-1", "shop", "run-1")).await?;
        let undone = execution_until(t, "back-1", "Succeeded").await?;
        assert_eq!(phases(&undone), "one Succeeded, two Skipped");
        assert_eq!(data(t, "shared").await?, None);
        Ok(())
    };
    shared().await?.with_namespace("repeated-applies", test).await
}

#[tokio::test]
async fn a_patch_and_its_rollback_bring_in_no_default() -> anyhow::Result<()> {
    let test = async |t: &TestNamespace| {
        t.start_operator().await?;
        let all = clusternet_api(t, "Localization");
        let overrides = |value: &str| json!([{"name": "replicas", "type": "JSONPatch", "value": value}]);
        let spec = json!({
            "overridePolicy": "ApplyNow", "priority": 700, "overrides": overrides("[]"),
            "feed": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web"},
        });
        let there = json!({
            "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Localization",
            "metadata": {"name": "web"}, "spec": spec,
        });
        let there: DynamicObject = serde_json::from_value(there)?;
        let made = all.create(&PostParams::default(), &there).await?;
        let patch = |name: &str, value: &str| {
            let fields = json!({"name": "web", "overrides": overrides(value)});
            clusternet(name, "Localization", "Patch", fields)
        };
        apply_plan(t, "shop", &[patch("patch", "[1]").undone_by(patch("", "[]"))]).await?;
        create(t, &execution("run", "shop")).await?;
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        let mut expected = spec.clone();
        expected["overrides"] = overrides("[1]");
        assert_eq!(all.get("web").await?.data["spec"], expected);
        create(t, &revert("back", "shop", "run")).await?;
        execution_until(t, "back", "Succeeded").await?;
        let back = all.get("web").await?;
        assert_eq!(back.data["spec"], spec);
        assert_eq!(back.metadata.uid, made.metadata.uid);
        assert_eq!((back.metadata.labels, back.metadata.annotations), (None, None));
        assert_eq!(text(&spec, "/overridePolicy"), "ApplyNow");
        Ok(())
    };
    shared().await?.with_namespace("repeated-patch", test).await
}
