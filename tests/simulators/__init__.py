"""Stand-ins for services of other companies, written after their public documents; none of them knows the operator."""
