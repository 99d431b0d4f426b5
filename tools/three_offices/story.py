"""The story: what three offices do, step by step, and what must be seen after each step.

Mike Brown's account (Paris) is linked with John Smith's (Rome) and with Tim Andrews' (Bern); Rome and Bern are not
linked.  Every kubectl command is run exactly as it is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Console
from rich.text import Text

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, InternalNumber, PBXAccount
from pbx_operator.cli.tables import print_answers, print_links
from pbx_operator.domain.conditions import find
from pbx_operator.domain.dialplan import Answer, DialPlan, Why
from three_offices.keeper import INSTALL, OPERATOR_USER
from three_offices.stage import Stage, eventually

INDENT = "   "
APPLY = "kubectl apply -f examples/three-offices/{file}"
CARRY = """\
kubectl get secret to-{office}-key -n paris -o jsonpath='{{.data.key}}' | base64 -d |
  kubectl create secret generic from-paris -n {office} --from-file=key=/dev/stdin"""
MAKE_PRIVATE = """kubectl patch inum workshop -n rome --type=merge -p '{"spec":{"visibility":"Private"}}'"""


class Story:
    """Tells the story on a console while it happens on a stage."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._console = console
        self._chapters = 0

    def tell(self) -> None:
        """Go through all chapters. Raises NotAsExpectedError at the first step that is not as it should be."""
        self._prologue()
        self._offices()
        self._keys()
        self._links()
        self._calls()
        self._privacy()
        self._deletion()

    # --- the chapters -------------------------------------------------------------------------------------------

    def _prologue(self) -> None:
        self._title("Three offices on a real control plane")
        self._block(
            "etcd, kube-apiserver and kube-controller-manager run on this machine, for this demo alone.\n"
            "The operator is a process beside them, with the rights of examples/install/rbac.yaml."
        )
        commands = [*INSTALL, f"python -m pbx_operator   # as user {OPERATOR_USER}"]
        self._block("\n".join(f"$ {command}" for command in commands))

    def _offices(self) -> None:
        self._chapter("Three offices: each an account with numbers of its own, in its own namespace")
        self._run(APPLY.format(file="1-offices.yaml"))
        accounts = ("bern/bern", "paris/paris", "rome/rome")
        numbers = ("bern/tim", "paris/mike", "rome/john", "rome/workshop")
        eventually("the accounts", dict.fromkeys(accounts, "Serving"), lambda: self._reasons(PBXAccount))
        eventually("the numbers", dict.fromkeys(numbers, "Serving"), lambda: self._reasons(InternalNumber))
        self._block(self._run("kubectl get internalnumbers -A"))

    def _keys(self) -> None:
        self._chapter("Paris generates a key for each of the others: grey, until it is entered")
        self._run(APPLY.format(file="2-keys.yaml"))
        self._see_links({"paris/to-bern": "Pending, Closed", "paris/to-rome": "Pending, Closed"})

    def _links(self) -> None:
        self._chapter("Rome and Bern enter the keys that they were given: green, on both sides")
        self._run(CARRY.format(office="rome"), CARRY.format(office="bern"), APPLY.format(file="3-links.yaml"))
        sides = ("bern/to-paris", "paris/to-bern", "paris/to-rome", "rome/to-paris")
        self._see_links(dict.fromkeys(sides, "Established, Open"))

    def _calls(self) -> None:
        self._chapter("Phones dial: own numbers come first, and Rome does not reach Bern through Paris")
        paris = {
            "112": "Emergency",
            "200": "Own, hides 200@rome.example.com",
            "8200": "Peer 200@rome.example.com",
            "300": "Peer 300@rome.example.com",
            "400": "Peer 400@bern.example.com",
        }
        self._see_calls("paris", paris)
        self._see_calls("rome", {"300": "Own", "400": "NoMatch"})

    def _privacy(self) -> None:
        self._chapter("Rome makes 300 private: Paris loses it at once, Rome keeps it")
        self._run(MAKE_PRIVATE)
        self._see_calls("paris", {"300": "NoMatch"})
        self._see_calls("rome", {"300": "Own"})

    def _deletion(self) -> None:
        self._chapter("Rome deletes its side of the link: both sides are gone, and Rome's numbers with them")
        self._run("kubectl delete interlink to-paris -n rome")
        self._see_links(dict.fromkeys(("bern/to-paris", "paris/to-bern"), "Established, Open"))
        self._see_calls("paris", {"200": "Own", "8200": "NoMatch", "400": "Peer 400@bern.example.com"})

    # --- looking ------------------------------------------------------------------------------------------------

    def _reasons(self, model: type[PBXAccount] | type[InternalNumber]) -> dict[str, str]:
        """Return the reason of Ready of each object."""
        ready = {str(o.key): find(o.status.conditions, "Ready") for o in self._stage.objects(model)}
        return {name: condition.reason if condition else "not seen yet" for name, condition in ready.items()}

    def _see_links(self, expected: Mapping[str, str]) -> None:
        links: list[Interlink] = []

        def look() -> dict[str, str]:
            links[:] = self._stage.objects(Interlink)
            return {str(link.key): f"{link.status.state}, {link.status.gate}" for link in links}

        eventually("the links", expected, look)
        self._show(lambda console: print_links(console, links))

    def _see_calls(self, account: str, expected: Mapping[str, str]) -> None:
        answers: list[Answer] = []

        def look() -> dict[str, str]:
            published = self._stage.published(ObjectKey(account, account))
            plan = DialPlan(published.account, published.slices, published.interlinks)
            answers[:] = [plan.answer(digits) for digits in expected]
            return {answer.digits: _outcome(answer) for answer in answers}

        self._block(f"$ pbx dial {account} {' '.join(expected)} -n {account}")
        eventually(f"what phones in {account.capitalize()} reach", expected, look)
        self._show(lambda console: print_answers(console, answers))

    # --- telling ------------------------------------------------------------------------------------------------

    def _title(self, text: str) -> None:
        self._console.print(Text(f"\n{text}", style="bold"))

    def _chapter(self, text: str) -> None:
        self._chapters += 1
        self._title(f"{self._chapters}. {text}")

    def _run(self, *commands: str) -> str:
        """Run commands one by one, each shown before; return what the last one prints."""
        output = ""
        self._block("")
        for command in commands:
            self._print(f"$ {command}")
            output = self._stage.shell(command)
        return output

    def _show(self, show: Callable[[Console], None]) -> None:
        with self._console.capture() as captured:
            show(self._console)
        self._block(captured.get())

    def _block(self, text: str) -> None:
        self._console.print()
        self._print(text)

    def _print(self, text: str) -> None:
        for line in text.splitlines():
            self._console.out(f"{INDENT}{line}".rstrip(), highlight=False)


def _outcome(answer: Answer) -> str:
    """Return what matters of an answer in a few words."""
    hidden = [passed.target for passed in answer.passed_over if passed.why is Why.HIDDEN]
    reached = f"{answer.outcome} {answer.target}" if answer.target else answer.outcome
    return f"{reached}, hides {', '.join(hidden)}" if hidden else reached
