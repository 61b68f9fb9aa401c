//! Kinds of our own to make objects of, and small ones by the names of Clusternet's.

/// A kind without contents worth a name, and the two of Clusternet that actions write: no defaults, no rules.
pub(crate) const CRDS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: toys.actions.drplan}
spec:
  group: actions.drplan
  scope: Namespaced
  names: {kind: Toy, plural: toys}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
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
        properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}
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
        properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";
