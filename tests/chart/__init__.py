"""The Helm chart, without a cluster: what it renders to, which values it refuses, and what it grants."""
