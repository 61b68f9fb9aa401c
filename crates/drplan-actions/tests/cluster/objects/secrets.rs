//! What a Secret holds is never told.

use drplan_api::canonical::PatchType;
use drplan_engine::object::{Before, ObjectOutcome};
use serde_json::json;

use super::{Action, written};
use crate::attempt::in_namespace;

/// In clear and in base64.
const HIDDEN: [&str; 2] = ["hunter2", "aHVudGVyMg"];

#[tokio::test]
async fn no_message_about_a_secret_holds_anything_of_it() -> anyhow::Result<()> {
    in_namespace("secrets", async |t| {
        let action = Action::new(t).kind("v1", "Secret").name("db");
        let (uid, _) = written(
            action
                .create(json!({"stringData": {"password": "hunter2"}}))
                .await,
        )?;
        let objects = [
            json!({"data": {"password": "hunter2!"}}),
            json!({"data": "hunter2"}),
            json!({"data": ["hunter2"]}),
            json!({"stringData": {"password": {"hunter2": 1}}}),
            json!({"stringData": {"not a key": "hunter2"}}),
            json!({"stringData": {"hunter2 hunter2": "x"}, "type": "hunter2 hunter2"}),
            json!({"metadata": {"labels": {"x": "hunter2 hunter2"}}, "stringData": {"k": "hunter2"}}),
            json!({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "hunter2"}}),
        ];
        let mut messages = Vec::new();
        for object in objects {
            let other = action.clone().name("other");
            messages.push(other.create(object.clone()).await);
            messages.push(other.apply(object.clone(), Before::Absent).await);
            messages.push(action.apply(object.clone(), Before::Present(uid.clone())).await);
            messages.push(action.merge(object.clone()).await);
            messages.push(action.patch(object, PatchType::Strategic).await);
        }
        let test = |path: &str| json!([{"op": "test", "path": path, "value": "hunter2"}]);
        messages.push(action.patch(test("/data/password"), PatchType::Json).await);
        messages.push(action.patch(test("/data/hunter3"), PatchType::Json).await);
        messages.push(action.patch(json!("hunter2"), PatchType::Merge).await);
        messages.push(
            action
                .clone()
                .execution("0000")
                .create(json!({"stringData": {"k": "hunter2"}}))
                .await,
        );
        let mut refused = 0;
        for message in messages {
            let Err(failure) = message else { continue };
            refused += 1;
            assert!(
                failure.message.contains(&format!("Secret {}/", t.name)),
                "{}",
                failure.message
            );
            for hidden in HIDDEN {
                // One is named so in a key, which is no content.
                let told = failure.message.replace("data[hunter2 hunter2]", "");
                assert!(!told.contains(hidden), "{}", failure.message);
            }
        }
        assert!(refused >= 30, "only {refused} were refused");

        let Ok(ObjectOutcome::Found { lists, .. }) = action.look(false, &["/data", "/data/password"]).await
        else {
            anyhow::bail!("it is there")
        };
        assert!(lists.is_empty(), "nothing of a Secret is kept");
        Ok(())
    })
    .await
}
