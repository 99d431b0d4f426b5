"""The operator's client of telecom.center, against the simulator over HTTPS."""
