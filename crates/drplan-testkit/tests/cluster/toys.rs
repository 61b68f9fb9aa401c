//! Kinds of our own to make objects of.

use kube::api::{ApiResource, GroupVersionKind};

/// Two kinds in one text: Toy with a schema, Top without.
pub(crate) const CRDS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: toys.testkit.drplan}
spec:
  group: testkit.drplan
  scope: Namespaced
  names: {kind: Toy, plural: toys}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {wheels: {type: integer}}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tops.testkit.drplan}
spec:
  group: testkit.drplan
  scope: Namespaced
  names: {kind: Top, plural: tops}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

/// The resource of this kind.
pub(crate) fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("testkit.drplan", "v1", kind), plural)
}

/// The custom kind that the user guide names.
pub(crate) const BACKUP_POLICIES: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: backuppolicies.custom.example.com}
spec:
  group: custom.example.com
  scope: Namespaced
  names: {kind: BackupPolicy, plural: backuppolicies}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              schedule: {type: string}
              retention: {type: integer}
              destination: {type: string}
";
