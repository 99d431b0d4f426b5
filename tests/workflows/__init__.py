"""The workflows for GitHub: what can be known of them without running them there."""
