//! The operator ends as it is asked to, and starts anew.

use drplan_testkit::{Answer, Proxy, ProxyMode, TestNamespace};
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;

use crate::fixtures::{
    apply_plan, create, events, execution, execution_until, execution_where, executions, job, logged, phases,
    plans, post, released, second_attempt,
};
use crate::shared;

#[tokio::test]
async fn asked_to_end_it_keeps_results_and_begins_nothing() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in.script("/call", [Answer::ok().held()]);
        apply_plan(
            t,
            "call",
            &[
                post("call", &t.stand_in.url("/call")),
                post("next", &t.stand_in.url("/next")),
            ],
        )
        .await?;
        // Nobody has to wait for a Job: its end is found by whoever comes next.
        apply_plan(t, "job", &[job("job").told("hang", "true")]).await?;
        let launch = t.operator_launch()?.arg("--drain-timeout=10m");
        let operator = t.launch_operator(launch).await?;
        operator.ready().await?;
        create(t, &execution("call", "call")).await?;
        create(t, &execution("job", "job")).await?;
        t.stand_in.wait_for("/call", 1).await?;
        execution_where(t, "job", "a running Job", |seen| {
            (phases(seen) == "job Running").then_some(())
        })
        .await?;

        let (code, ()) = tokio::try_join!(operator.terminate(), async {
            logged(&operator, "ending: nothing new starts").await?;
            // Neither begins while it waits for the call.
            create(t, &execution("late", "job")).await?;
            t.stand_in.release("/call");
            Ok(())
        })?;
        assert_eq!(code, 0);
        let left = executions(t).get("call").await?;
        assert_eq!(phases(&left.data), "call Succeeded, next Pending");
        assert_eq!(left.data["status"]["phase"], "Running");
        assert_eq!(t.stand_in.requests("/next").len(), 0);
        assert!(executions(t).get("late").await?.data.get("status").is_none());
        assert_eq!(t.api::<Job>().list(&ListParams::default()).await?.items.len(), 1);

        operator.restart().await?;
        let done = execution_until(t, "call", "Succeeded").await?;
        assert_eq!(phases(&done), "call Succeeded, next Succeeded");
        for path in ["/call", "/next"] {
            assert_eq!(t.stand_in.requests(path).len(), 1, "{path}");
        }
        let told = events(t, "call").await?;
        assert!(
            !told.iter().any(|event| event.starts_with("ActionRepeated")),
            "{told:?}"
        );
        execution_until(t, "late", "Failed").await?;
        assert_eq!(t.api::<Job>().list(&ListParams::default()).await?.items.len(), 1);
        Ok(())
    };
    control_plane.with_namespace("restart-asked", test).await
}

#[tokio::test]
async fn a_call_that_outlasts_the_drain_is_repeated_under_its_key() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        t.stand_in.script("/call", [Answer::ok().held(), Answer::ok()]);
        apply_plan(t, "call", &[post("call", &t.stand_in.url("/call"))]).await?;
        let operator = t
            .launch_operator(t.operator_launch()?.arg("--drain-timeout=1s"))
            .await?;
        operator.ready().await?;
        create(t, &execution("call", "call")).await?;
        t.stand_in.wait_for("/call", 1).await?;
        assert_eq!(operator.terminate().await?, 0);
        operator.restart().await?;
        execution_until(t, "call", "Succeeded").await?;
        let counts = t.stand_in.count_by_key("/call");
        assert_eq!(counts.values().copied().collect::<Vec<_>>(), [2], "{counts:?}");
        Ok(())
    };
    control_plane.with_namespace("restart-drained", test).await
}

#[tokio::test]
async fn asked_to_end_while_the_api_server_is_gone_it_ends() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let proxy = Proxy::to_api_server(&t.control_plane).await?;
        let kubeconfig = proxy.kubeconfig_for(&t.control_plane, "proxied", Some("system:masters"))?;
        let launch = t
            .operator_launch()?
            .kubeconfig(kubeconfig)
            .arg("--drain-timeout=10m");
        let operator = t.launch_operator(launch).await?;
        operator.ready().await?;
        t.stand_in.script("/wait", [Answer::status(503), Answer::ok()]);
        apply_plan(t, "job", &[job("job").told("seconds", "2")]).await?;
        let wait = post("wait", &t.stand_in.url("/wait")).retried(3, "1h");
        apply_plan(t, "wait", &[wait]).await?;
        for (name, state) in [("job", "job Running"), ("wait", "wait Running")] {
            create(t, &execution(name, name)).await?;
            execution_where(t, name, state, |seen| (phases(seen) == state).then_some(())).await?;
        }
        t.stand_in.wait_for("/wait", 1).await?;
        second_attempt(t, "wait", "main/wait[0]/wait").await?;
        // It knows that this is stored; results of which it does not it would keep for as long as it drains.
        operator
            .logged("the second attempt", |line| {
                (line["reason"] == "ActionRetrying").then_some(())
            })
            .await?;
        proxy.set(ProxyMode::Cut).await?;
        assert_eq!(operator.terminate().await?, 0);
        proxy.set(ProxyMode::Pass).await?;
        operator.restart().await?;
        execution_until(t, "job", "Succeeded").await?;
        assert_eq!(t.stand_in.requests("/wait").len(), 1);
        Ok(())
    };
    control_plane.with_namespace("restart-cut-off", test).await
}

#[tokio::test]
async fn finished_executions_cost_a_restart_no_write() -> anyhow::Result<()> {
    let control_plane = shared().await?;
    let test = async |t: &TestNamespace| {
        let operator = t.start_operator().await?;
        apply_plan(t, "good", &[post("call", &t.stand_in.url("/call"))]).await?;
        t.stand_in.script("/no", [Answer::status(404)]);
        apply_plan(t, "bad", &[post("call", &t.stand_in.url("/no"))]).await?;
        for number in 0..20 {
            let (plan, end) = if number % 4 == 3 {
                ("bad", "Failed")
            } else {
                ("good", "Succeeded")
            };
            let name = format!("run-{number}");
            create(t, &execution(&name, plan)).await?;
            execution_until(t, &name, end).await?;
            released(t, &name).await?;
        }
        assert_eq!(operator.terminate().await?, 0);

        let by_operator = t
            .control_plane
            .audit()
            .from_now()
            .user(&format!("operator:{}", t.name));
        operator.restart().await?;
        // What comes last shows that everything before it was looked at.
        apply_plan(t, "last", &[post("call", &t.stand_in.url("/last"))]).await?;
        create(t, &execution("last", "last")).await?;
        execution_until(t, "last", "Succeeded").await?;
        released(t, "last").await?;
        assert_eq!(operator.terminate().await?, 0);
        let writes = ["create", "update", "patch", "delete", "deletecollection"];
        let writes = writes
            .iter()
            .fold(by_operator, |query, verb| query.verb(verb))
            .entries()?;
        let of_others: Vec<_> = writes
            .iter()
            .map(|entry| format!("{} {}", entry.verb, entry.request_uri))
            .filter(|write| {
                !write.contains("/last")
                    && !write.contains("/events")
                    && !write.contains("controllerrevisions")
            })
            .collect();
        assert!(of_others.is_empty(), "{of_others:?}");
        let told = events(t, "run-0").await?;
        assert_eq!(
            told.iter()
                .filter(|event| event.starts_with("ExecutionSucceeded"))
                .count(),
            1,
            "{told:?}"
        );
        let history = plans(t).get("good").await?.data["status"]["executionHistory"].clone();
        assert_eq!(history.as_array().map(Vec::len), Some(10));
        Ok(())
    };
    control_plane.with_namespace("restart-finished", test).await
}
