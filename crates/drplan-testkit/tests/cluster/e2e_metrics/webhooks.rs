//! What an operator tells of its webhooks.

use std::collections::BTreeMap;

use drplan_testkit::{Kubectl, Proxy, ProxyMode, TestNamespace};

use super::{scrape, scrape_until};
use crate::e2e_admission::{self, asked, create_as, delete_as, try_create, unregister};
use crate::fixtures::{apply_plan, execution, execution_until, plan, post, released, workflow};
use crate::shared;

const END: &str = "drplan_webhook_certificate_expiration_timestamp_seconds";

fn requests(webhook: &str, kind: &str, operation: &str, outcome: &str) -> String {
    format!(
        "drplan_webhook_requests_total{{webhook=\"{webhook}\",kind=\"{kind}\",operation=\"{operation}\",outcome=\"{outcome}\"}}"
    )
}

/// Before anything else of these has happened: all are counted from 0 on.
fn at(samples: &BTreeMap<String, f64>, sample: &str) -> f64 {
    *samples
        .get(sample)
        .unwrap_or_else(|| panic!("{sample} is not there: {samples:#?}"))
}

#[tokio::test]
async fn what_webhooks_are_asked_and_answer_is_counted_and_their_certificate_has_an_end() -> anyhow::Result<()>
{
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let proxy = Proxy::to_api_server(&control_plane).await?;
        let user = format!("operator:{}", t.name);
        let through = proxy.kubeconfig_for(&control_plane, &user, Some("system:masters"))?;
        let operator = t
            .launch_operator(e2e_admission::launch(t)?.kubeconfig(through))
            .await?;
        operator.ready().await?;
        asked(t).await?;
        let now = jiff::Timestamp::now().as_duration().as_secs_f64();
        let before = scrape(&operator).await?;
        let days = (at(&before, END) - now) / 86_400.0;
        assert!((89.0..91.0).contains(&days), "{days}");

        let judged = "drplan_webhook_request_duration_seconds_count{webhook=\"validate\",kind=\"execution\"}";
        let (client, ns) = (&t.client, t.name.as_str());
        assert_eq!(try_create(client, ns, &workflow("wrong")).await?.code, 422);
        apply_plan(t, "shop", &[post("call", &t.stand_in.url("/call"))]).await?;
        assert_eq!(create_as(client, ns, &execution("run", "shop")).await?.code, 201);
        execution_until(t, "run", "Succeeded").await?;
        released(t, "run").await?;
        assert_eq!(delete_as(client, ns, "DRWorkflow", "shop").await?.code, 403);
        let more = |webhook, kind, operation, outcome, count: f64| {
            let sample = requests(webhook, kind, operation, outcome);
            let value = at(&before, &sample) + count;
            (sample, value)
        };
        let after = [
            more("validate", "workflow", "CREATE", "Refused", 1.0),
            more("validate", "workflow", "CREATE", "Allowed", 1.0),
            more("validate", "workflow", "DELETE", "Refused", 1.0),
            more("validate", "plan", "CREATE", "Allowed", 1.0),
            more("validate", "plan", "CREATE", "Unjudged", 0.0),
            more("validate", "execution", "CREATE", "Allowed", 1.0),
            more("stamp", "execution", "CREATE", "Allowed", 1.0),
            (judged.to_owned(), 1.0),
        ];
        let after: Vec<_> = after.iter().map(|(sample, value)| (&**sample, *value)).collect();
        scrape_until(&operator, &after).await?;

        // What a verdict rests on cannot be read: the plan is refused for that, and so it says.
        proxy.set(ProxyMode::Cut).await?;
        // By kubectl, which takes no for an answer: the test's own client would try again for minutes.
        let other = plan("other").stage("main", &["shop"]).0.to_string();
        let kubectl = Kubectl::new(&control_plane, ns);
        let unjudged = kubectl.run_with(&["create", "-f", "-"], &other).await;
        let unjudged = unjudged.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(unjudged.contains("could not be checked"), "{unjudged}");
        let judged = more("validate", "plan", "CREATE", "Unjudged", 1.0);
        scrape_until(&operator, &[(&*judged.0, judged.1)]).await?;
        proxy.set(ProxyMode::Pass).await?;
        unregister(t).await
    };
    control_plane.with_namespace("metrics-webhooks", test).await
}

#[tokio::test]
async fn without_webhooks_there_are_no_figures_of_them() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let text = t.start_operator().await?.metrics().await?;
        assert!(!text.contains("drplan_webhook_"), "{text}");
        Ok(())
    };
    control_plane.with_namespace("metrics-alone", test).await
}
