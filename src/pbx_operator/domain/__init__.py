"""The rules: what is true and what to do about it, as pure functions over snapshots with an injected clock."""
