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

/// The two kinds of Clusternet that actions write, with the fields that users write in them. Unknown fields are pruned, so
/// that a misspelt one is missed.
pub(crate) const CLUSTERNET: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: localizations.apps.clusternet.io}
spec:
  group: apps.clusternet.io
  scope: Namespaced
  names: {kind: Localization, plural: localizations}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              overridePolicy: {type: string, enum: [ApplyNow, ApplyLater]}
              priority: {type: integer, minimum: 0, maximum: 1000}
              feed:
                type: object
                required: [apiVersion, kind, name]
                properties:
                  apiVersion: {type: string}
                  kind: {type: string}
                  name: {type: string}
                  namespace: {type: string}
              overrides:
                type: array
                items:
                  type: object
                  required: [name, type, value]
                  properties:
                    name: {type: string}
                    type: {type: string, enum: [Helm, JSONPatch, MergePatch, FieldJSONPatch, FieldMergePatch]}
                    value: {type: string}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: subscriptions.apps.clusternet.io}
spec:
  group: apps.clusternet.io
  scope: Namespaced
  names: {kind: Subscription, plural: subscriptions}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [feeds, subscribers]
            properties:
              schedulingStrategy: {type: string, enum: [Replication, Dividing]}
              feeds:
                type: array
                items:
                  type: object
                  required: [apiVersion, kind, name]
                  properties:
                    apiVersion: {type: string}
                    kind: {type: string}
                    name: {type: string}
                    namespace: {type: string}
              subscribers:
                type: array
                items:
                  type: object
                  required: [clusterAffinity]
                  properties:
                    clusterAffinity:
                      type: object
                      properties:
                        matchLabels: {type: object, additionalProperties: {type: string}}
                    weight: {type: integer}
";

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
