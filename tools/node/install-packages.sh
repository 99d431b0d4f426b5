#!/bin/sh
# Installs what a node needs besides the programs that are built from Go: the container runtime, the plugins that
# connect pods, and the tools that make namespaces and rules. For Debian 12; about 155 MB. The node does not
# use the service that comes with containerd; on a machine with systemd, stop it if nothing else does.
set -eu
apt-get update
apt-get install --yes --no-install-recommends \
    containerd containernetworking-plugins iproute2 iptables mount runc util-linux
