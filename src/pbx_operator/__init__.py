"""pbx-operator: phone systems, declared as Kubernetes objects."""
