use std::time::Duration;

use drplan_testkit::{Answer, Authority, HttpStandIn, Outcome};
use serde_json::{Value, json};

#[tokio::test]
async fn it_records_what_it_is_asked() -> anyhow::Result<()> {
    let stand_in = HttpStandIn::start().await?;
    let client = reqwest::Client::new();
    for key in ["a", "b", "a"] {
        let request = client
            .post(stand_in.url("/switch?dry=no"))
            .header("Idempotency-Key", key);
        assert_eq!(request.json(&json!({"to": "b"})).send().await?.status(), 200);
    }
    client.get(stand_in.url("/status")).send().await?;

    let switches = stand_in.wait_for("/switch", 3).await?;
    assert_eq!(
        (switches[0].method.as_str(), switches[0].query.as_str()),
        ("POST", "dry=no")
    );
    assert_eq!(switches[0].header("Content-Type"), Some("application/json"));
    assert_eq!(switches[0].json()?, json!({"to": "b"}));
    assert!(switches[0].arrived <= switches[2].arrived);
    assert_eq!(
        stand_in.count_by_key("/switch"),
        [("a".into(), 2), ("b".into(), 1)].into()
    );
    assert_eq!(stand_in.count_by_key("/status"), [(String::new(), 1)].into());
    assert_eq!(stand_in.all().len(), 4);
    Ok(())
}

#[tokio::test]
async fn it_answers_as_told_and_then_as_told_last() -> anyhow::Result<()> {
    let stand_in = HttpStandIn::start().await?;
    let busy = Answer::status(503).header("Retry-After", "1").times(2);
    stand_in.script("/switch", [busy, Answer::ok().json(&json!({"done": true}))]);
    stand_in.script("DELETE /switch", [Answer::status(405)]);
    let client = reqwest::Client::new();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(client.get(stand_in.url("/switch")).send().await?);
    }
    let statuses: Vec<u16> = seen.iter().map(|answer| answer.status().as_u16()).collect();
    assert_eq!(statuses, [503, 503, 200, 200]);
    assert_eq!(seen[0].headers()["retry-after"], "1");
    assert_eq!(seen.remove(3).json::<Value>().await?, json!({"done": true}));
    assert_eq!(client.delete(stand_in.url("/switch")).send().await?.status(), 405);
    Ok(())
}

#[tokio::test]
async fn a_held_answer_waits_for_its_release() -> anyhow::Result<()> {
    let stand_in = HttpStandIn::start().await?;
    stand_in.script("/slow", [Answer::status(202).held()]);
    let request = tokio::spawn(reqwest::get(stand_in.url("/slow")));
    assert_eq!(stand_in.wait_for("/slow", 1).await?[0].outcome, Outcome::Pending);
    assert!(!request.is_finished());
    stand_in.release("/slow");
    assert_eq!(request.await??.status(), 202);
    assert_eq!(stand_in.requests("/slow")[0].outcome, Outcome::Answered);
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() -> anyhow::Result<()> {
    let stand_in = HttpStandIn::start().await?;
    stand_in.script("/slow", [Answer::ok().held()]);
    let request = tokio::spawn(reqwest::get(stand_in.url("/slow")));
    stand_in.wait_for("/slow", 1).await?;
    request.abort();
    stand_in
        .wait_until("the client's leaving", |all| {
            (all[0].outcome == Outcome::ClientGone).then_some(())
        })
        .await
}

#[tokio::test]
async fn a_reset_and_half_an_answer_are_errors_to_the_client() -> anyhow::Result<()> {
    let stand_in = HttpStandIn::start().await?;
    stand_in.script("/reset", [Answer::reset()]);
    let error = format!(
        "{:?}",
        reqwest::get(stand_in.url("/reset"))
            .await
            .expect_err("it is reset")
    );
    assert!(error.contains("ConnectionReset"), "{error}");
    assert_eq!(stand_in.requests("/reset")[0].outcome, Outcome::Reset);

    stand_in.script(
        "/half",
        [Answer::ok()
            .body("0123456789")
            .truncated()
            .after(Duration::from_millis(1))],
    );
    let answer = reqwest::get(stand_in.url("/half")).await?;
    assert_eq!(answer.status(), 200);
    answer.bytes().await.expect_err("half of it is missing");
    Ok(())
}

#[tokio::test]
async fn it_speaks_tls_under_the_names_of_its_certificate() -> anyhow::Result<()> {
    let authority = Authority::generate()?;
    let stand_in = HttpStandIn::start_secure(&authority.server(&["db.example.com"])?).await?;
    let root = reqwest::Certificate::from_pem(authority.certificate().as_bytes())?;
    let client = reqwest::Client::builder()
        .tls_certs_only([root])
        .resolve("db.example.com", stand_in.address())
        .build()?;
    let port = stand_in.address().port();
    let answer = client.get(format!("https://db.example.com:{port}/status"));
    assert_eq!(answer.send().await?.status(), 200);
    let expect = format!("db.example.com:{port}");
    assert_eq!(stand_in.all()[0].header("host"), Some(expect.as_str()));
    reqwest::get(stand_in.url("/status"))
        .await
        .expect_err("nobody knows its authority");
    assert_eq!(stand_in.all().len(), 1);
    Ok(())
}

#[tokio::test]
async fn it_tells_repeats_by_their_key_and_holds_the_one_it_is_told_to() -> anyhow::Result<()> {
    let stand_in = HttpStandIn::start().await?;
    stand_in.hold("/second");
    let client = reqwest::Client::new();
    let call = |key: &'static str| {
        let request = client
            .post(stand_in.url("/switch"))
            .header("idempotency-key", key);
        async move { request.send().await }
    };
    call("run/first").await?;
    let held = tokio::spawn(call("run/second"));
    stand_in.wait_for("/switch", 2).await?;
    // Only the next one is held.
    call("run/second").await?;
    client
        .get(stand_in.url("/switch"))
        .header("idempotency-key", "run/first")
        .send()
        .await?;
    client.post(stand_in.url("/switch")).send().await?;
    client.post(stand_in.url("/switch")).send().await?;
    let seen: Vec<(bool, Outcome)> = stand_in
        .all()
        .iter()
        .map(|request| (request.is_repeat, request.outcome))
        .collect();
    use Outcome::{Answered, Pending};
    let expected = [
        (false, Answered),
        (false, Pending),
        (true, Answered),
        (false, Answered),
        (false, Answered),
        (false, Answered),
    ];
    assert_eq!(seen, expected);
    stand_in.release("/switch");
    assert_eq!(held.await??.status(), 200);
    Ok(())
}
