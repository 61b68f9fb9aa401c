//! The block `resource`.

use crate::{
    action as written,
    canonical::{Operation, PatchType, Resource},
    limits::MANIFEST_BYTES_MAX,
    normalise::{
        action::operation,
        report::{Place, Report},
        scalar::{choice, text},
    },
};

/// The object that `written` describes.
pub(super) fn resource(report: &mut Report, at: &Place, written: &written::Resource) -> Option<Resource> {
    let operation = operation(report, at, written.operation.as_ref());
    let manifest_at = at.field("manifest");
    let manifest = written
        .manifest
        .as_deref()
        .filter(|manifest| !manifest.trim().is_empty());
    match manifest {
        None => report.missing(
            &manifest_at,
            "write the object as YAML text with apiVersion, kind and metadata, in a block after `manifest: |`",
        ),
        Some(manifest) => report.bound(
            &manifest_at,
            "the number of bytes of the manifest",
            manifest.len(),
            MANIFEST_BYTES_MAX,
            "split it into several actions",
        ),
    }
    let type_at = at.field("patchType");
    let patch_type = match text(written.patch_type.as_ref()) {
        None => Some(PatchType::default()),
        Some(patch_type) => {
            if operation.is_some_and(|operation| operation != Operation::Patch) {
                report.warn(&type_at, "is only read for operation Patch; take it out");
            }
            let choices = [
                ("Merge", PatchType::Merge),
                ("JSON", PatchType::Json),
                ("Strategic", PatchType::Strategic),
            ];
            choice(report, &type_at, patch_type, &choices, "Merge, JSON or Strategic")
        }
    };
    let force = written.force.unwrap_or(false);
    if force && operation.is_some_and(|operation| operation != Operation::Apply) {
        report.warn(
            &at.field("force"),
            "is only read for operation Apply; take it out",
        );
    }
    Some(Resource {
        operation: operation?,
        manifest: manifest?.to_owned(),
        patch_type: patch_type?,
        force,
    })
}
