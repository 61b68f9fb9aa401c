//! What messages say, and what they never say.

use super::{
    script::{Answer, exists, held_by, ok, status},
    *,
};

const GET: &str = "GET /api/v1/namespaces/shop/configmaps/a";

#[tokio::test(start_paused = true)]
async fn messages_name_the_object_and_what_to_do() {
    let check = async |script: Script, command: &ObjectCommand, kind, expect: &str| {
        let failure = failed(perform(&script, command).await, kind);
        assert_eq!(failure.message, expect);
    };
    check(
        Script::new([("POST /api/v1/namespaces/shop/configmaps", exists()), (GET, ok(foreign("u9")))]),
        &create(),
        FailureKind::AlreadyExists,
        "ConfigMap shop/a exists and was not made by this action of this execution: delete it, or use operation Apply",
    )
    .await;
    check(
        Script::new([(GET, ok(foreign("u9"))), (&format!("PATCH {PATH}/a"), held_by("kubectl"))]),
        &apply(),
        FailureKind::FieldConflict,
        "apply ConfigMap shop/a: .data.k belongs to kubectl; set force: true to take over, or leave it out of the manifest",
    )
    .await;
    check(
        Script::new([(&format!("PATCH {PATH}/a"), status(404, "NotFound", "no"))]),
        &patch(PatchType::Merge),
        FailureKind::Invalid,
        "patch ConfigMap shop/a: it does not exist: create it before, or use operation Apply, which creates what is absent",
    )
    .await;
    check(
        Script::new([(&format!("PATCH {PATH}/a"), status(415, "UnsupportedMediaType", "no"))]),
        &patch(PatchType::Strategic),
        FailureKind::Invalid,
        "patch ConfigMap shop/a: its kind cannot be patched in this way (Strategic is for built-in kinds): use \
         patchType Merge or JSON",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_a_rollback_nothing_is_asked_that_would_need_another() {
    let check = async |script: Script, command: &ObjectCommand, expect: &str| {
        let undo = identity().undo();
        let failure = performer(&script)
            .perform_object(&Identity::Operator, &undo, command)
            .await;
        assert_eq!(failure.expect_err("it fails").message, expect);
    };
    check(
        Script::new([
            ("POST /api/v1/namespaces/shop/configmaps", exists()),
            (GET, ok(foreign("u9"))),
        ]),
        &create(),
        "ConfigMap shop/a exists and was not made by this action of this execution: delete it",
    )
    .await;
    check(
        Script::new([
            (GET, ok(foreign("u9"))),
            (&format!("PATCH {PATH}/a"), held_by("kubectl")),
        ]),
        &apply(),
        "apply ConfigMap shop/a: .data.k belongs to kubectl; set by hand what the rollback has there",
    )
    .await;
    check(
        Script::new([(&format!("PATCH {PATH}/a"), status(404, "NotFound", "no"))]),
        &patch(PatchType::Merge),
        "patch ConfigMap shop/a: it does not exist: create it",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_kind_or_a_version_that_does_not_exist_is_named() {
    let command = |api_version: &str, kind: &str| {
        let ObjectCommand::Delete(mut deletion) = delete(None) else {
            unreachable!()
        };
        deletion.target.api_version = Some(api_version.to_owned());
        deletion.target.kind = Some(kind.to_owned());
        ObjectCommand::Delete(deletion)
    };
    let script = Script::new([]);
    let failure = failed(
        perform(&script, &command("v1", "Toy")).await,
        FailureKind::Invalid,
    );
    assert!(
        failure
            .message
            .starts_with("the cluster has no kind Toy in v1: install"),
        "{}",
        failure.message
    );
    assert!(script.seen().len() > 1, "it is asked for again for a while");
    let script = Script::bare([(
        "GET /apis/toys.example/v1",
        Answer::Text(404, "404 page not found\n"),
    )]);
    let failure = failed(
        perform(&script, &command("toys.example/v1", "Toy")).await,
        FailureKind::Invalid,
    );
    let expect = "the cluster does not serve toys.example/v1, of which Toy is wanted: install";
    assert!(failure.message.starts_with(expect), "{}", failure.message);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_none_is_not_sent() {
    let check = async |spoil: fn(&mut ObjectRef), expect: &str| {
        let ObjectCommand::Delete(mut deletion) = delete(None) else {
            unreachable!()
        };
        spoil(&mut deletion.target);
        let script = Script::new([]);
        let failure = failed(
            perform(&script, &ObjectCommand::Delete(deletion)).await,
            FailureKind::Render,
        );
        assert_eq!(failure.message, expect);
    };
    check(
        |target| target.name = "../secrets/x".to_owned(),
        "`../secrets/x` is no name of an object",
    )
    .await;
    check(
        |target| target.namespace = None,
        "`` is no namespace of an object",
    )
    .await;
    check(|target| target.kind = None, "`` is no kind of an object").await;
    check(
        |target| target.api_version = Some("a/b/c".to_owned()),
        "`a/b/c` is no apiVersion of an object",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn refusals_of_a_secret_tell_nothing_of_it() {
    let ObjectCommand::Write(mut write) = create() else {
        unreachable!()
    };
    write.target.kind = Some("Secret".to_owned());
    let refusals = [
        status(400, "BadRequest", "cannot unmarshal hunter2"),
        status(422, "Invalid", "Invalid value: \"hunter2\""),
        status(500, "InternalError", "hunter2"),
        Answer::Text(400, "hunter2"),
    ];
    for refusal in refusals {
        let script = Script::new([
            ("POST /api/v1/namespaces/shop/secrets", refusal),
            (
                "GET /api/v1/namespaces/shop/secrets/a",
                status(404, "NotFound", "no"),
            ),
        ]);
        let failure = perform(&script, &ObjectCommand::Write(write.clone()))
            .await
            .unwrap_err();
        assert!(
            failure.message.starts_with("create Secret shop/a: "),
            "{}",
            failure.message
        );
        assert!(!failure.message.contains("hunter2"), "{}", failure.message);
    }
}
