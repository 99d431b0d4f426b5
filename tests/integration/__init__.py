"""The operator as a process of its own against a real control plane."""
