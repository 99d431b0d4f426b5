"""The story: what three offices do, step by step, and what must be seen after each step.

Mike Brown's account (Paris) is linked with John Smith's (Rome) and with Tim Andrews' (Bern); Rome and Bern are not
linked.
"""

from __future__ import annotations

from rich.console import Console

from pbx_operator.api.v1alpha1 import InternalNumber, PBXAccount
from three_offices.keeper import INSTALL, OPERATOR_USER
from three_offices.stage import Stage
from three_offices.telling import Teller, Terminal

APPLY = "kubectl apply -f examples/three-offices/{file}"
CARRY = """\
kubectl get secret to-{office}-key -n paris -o jsonpath='{{.data.key}}' | base64 -d |
  kubectl create secret generic from-paris -n {office} --from-file=key=/dev/stdin \\
    --dry-run=client -o yaml | kubectl apply -f -"""
MAKE_PRIVATE = """kubectl patch inum workshop -n rome --type=merge -p '{"spec":{"visibility":"Private"}}'"""


class Story:
    """Tells the story on a console while it happens on a stage."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._teller = Teller(console)
        self._terminal = Terminal(self._teller, stage)

    def tell(self) -> None:
        """Go through all chapters. Raises NotAsExpectedError at the first step that is not as it should be."""
        self._prologue()
        self._offices()
        self._keys()
        self._links()
        self._calls()
        self._privacy()
        self._deletion()

    def _prologue(self) -> None:
        self._teller.title("Three offices on a real control plane")
        self._teller.block(
            "etcd, kube-apiserver and kube-controller-manager run on this machine, for this demo alone.\n"
            "The operator is a process beside them, as the user of examples/install/users.yaml."
        )
        self._terminal.type_in(*INSTALL, f"python -m pbx_operator   # as user {OPERATOR_USER}")

    def _offices(self) -> None:
        self._teller.chapter("Three offices: each an account with numbers of its own, in its own namespace")
        self._terminal.run(APPLY.format(file="1-offices.yaml"))
        accounts = ("bern/bern", "paris/paris", "rome/rome")
        numbers = ("bern/tim", "paris/mike", "rome/john", "rome/workshop")
        self._terminal.see_reasons(PBXAccount, dict.fromkeys(accounts, "Serving"))
        self._terminal.see_reasons(InternalNumber, dict.fromkeys(numbers, "Serving"))
        self._terminal.run_and_show("kubectl get internalnumbers -A")

    def _keys(self) -> None:
        self._teller.chapter("Paris generates a key for each of the others: grey, until it is entered")
        self._terminal.run(APPLY.format(file="2-keys.yaml"))
        self._terminal.see_links({"paris/to-bern": "Pending, Closed", "paris/to-rome": "Pending, Closed"})

    def _links(self) -> None:
        self._teller.chapter("Rome and Bern enter the keys that they were given: green, on both sides")
        self._terminal.run(CARRY.format(office="rome"), CARRY.format(office="bern"), APPLY.format(file="3-links.yaml"))
        sides = ("bern/to-paris", "paris/to-bern", "paris/to-rome", "rome/to-paris")
        self._terminal.see_links(dict.fromkeys(sides, "Established, Open"))

    def _calls(self) -> None:
        self._teller.chapter("Phones dial: own numbers come first, and Rome does not reach Bern through Paris")
        paris = {
            "112": "Emergency",
            "200": "Own, hides 200@rome.example.com",
            "8200": "Peer 200@rome.example.com",
            "300": "Peer 300@rome.example.com",
            "400": "Peer 400@bern.example.com",
        }
        self._terminal.see_calls("paris", paris)
        self._terminal.see_calls("rome", {"300": "Own", "400": "NoMatch"})

    def _privacy(self) -> None:
        self._teller.chapter("Rome makes 300 private: Paris loses it at once, Rome keeps it")
        self._terminal.run(MAKE_PRIVATE)
        self._terminal.see_calls("paris", {"300": "NoMatch"})
        self._terminal.see_calls("rome", {"300": "Own"})

    def _deletion(self) -> None:
        self._teller.chapter("Rome deletes its side of the link: both sides are gone, and Rome's numbers with them")
        self._terminal.run("kubectl delete interlink to-paris -n rome")
        self._terminal.see_links(dict.fromkeys(("bern/to-paris", "paris/to-bern"), "Established, Open"))
        self._terminal.see_calls("paris", {"200": "Own", "8200": "NoMatch", "400": "Peer 400@bern.example.com"})
