"""The command line `pbx`."""

from __future__ import annotations

import click

from pbx_operator.cli.dial import dial
from pbx_operator.cli.key import key
from pbx_operator.cli.translate import translate


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pbx-operator")
def main() -> None:
    """Ask about, and work with, phone systems that are declared as Kubernetes objects."""


main.add_command(dial)
main.add_command(key)
main.add_command(translate)
