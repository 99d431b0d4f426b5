"""The story: how accounts of two clusters are linked and parted, and what must be seen after each step.

Paris's operator can be reached.  Rome's cannot, as behind NAT: whatever passes between them, Rome has dialled.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from three_offices.keeper import INSTALL, OPERATOR_USER
from three_offices.stage import Stage, eventually
from three_offices.telling import Teller, Terminal

from pbx_operator.api.v1alpha1 import InternalNumber, LinkRecord, PBXAccount

APPLY = "kubectl apply -f examples/two-clusters/{file}"
TAKE_KEY = "kubectl get secret to-rome-key -n paris -o jsonpath='{.data.key}' | base64 -d > $USB/key"
ENTER_KEY = "kubectl create secret generic from-paris -n rome --from-file=key=$USB/key"
FORGET_KEY = "rm $USB/key"
LINKED, ALONE = "Established, Open", "Pending, Closed"


class Story:
    """Tells the story on a console while it happens on two stages, whose operators have these options."""

    def __init__(
        self, paris: Stage, rome: Stage, options: tuple[Sequence[str], Sequence[str]], console: Console
    ) -> None:
        stick = {"USB": str(paris.log.parent)}  # goes with the sandbox, whatever happens to the demo
        self._teller = Teller(console)
        self._stages = paris, rome
        self._paris = Terminal(self._teller, paris, "paris$", stick)
        self._rome = Terminal(self._teller, rome, "rome$", stick)
        self._operators = tuple(" ".join(["pbx-operator", *words, "&"]) for words in options)

    def tell(self) -> None:
        """Go through all chapters. Raises NotAsExpectedError at the first step that is not as it should be."""
        self._prologue()
        self._offices()
        self._key()
        self._link()
        self._calls()
        self._deletion()
        self._return()

    def _prologue(self) -> None:
        paris, rome = self._operators
        self._teller.title("Two clusters, each with a control plane and an operator of its own")
        self._teller.block(
            "Both run on this machine, for this demo alone. Paris's operator can be reached by others. Rome's\n"
            "cannot, as behind NAT: it dials. To be quick, it asks for news every second, not every minute;\n"
            f"and it may dial loopback addresses, which are forbidden otherwise. Both run as user {OPERATOR_USER}."
        )
        self._paris.type_in(*INSTALL, paris)
        self._rome.type_in(*INSTALL, rome)

    def _offices(self) -> None:
        self._teller.chapter("In each cluster an account with numbers of its own")
        for terminal, office, numbers in (
            (self._paris, "paris", ("mike", "reception")),
            (self._rome, "rome", ("cellar", "john", "workshop")),
        ):
            terminal.run(APPLY.format(file=f"1-{office}.yaml"))
            terminal.see_reasons(PBXAccount, {f"{office}/{office}": "Serving"})
            terminal.see_reasons(InternalNumber, {f"{office}/{number}": "Serving" for number in numbers})
            terminal.run_and_show(f"kubectl get internalnumbers -n {office}")

    def _key(self) -> None:
        self._teller.chapter("Paris generates a key: grey, until it is entered")
        self._paris.run(APPLY.format(file="2-paris-issues.yaml"))
        self._paris.see_links({"paris/to-rome": ALONE})

    def _link(self) -> None:
        self._teller.chapter("The key is carried to Rome as a file, and entered: green, in both clusters")
        self._paris.run(TAKE_KEY)
        self._rome.run(ENTER_KEY, FORGET_KEY, APPLY.format(file="3-rome-redeems.yaml"))
        self._see_links({"paris/to-rome": LINKED}, {"rome/to-paris": LINKED})

    def _calls(self) -> None:
        self._teller.chapter("Phones dial across: own numbers come first, and Rome's private 310 stays in Rome")
        paris = {
            "200": "Own, hides 200@rome.example.com",
            "8200": "Peer 200@rome.example.com",
            "300": "Peer 300@rome.example.com",
            "310": "NoMatch",
        }
        self._paris.see_calls("paris", paris)
        self._rome.see_calls("rome", {"210": "Peer 210@paris.example.com", "310": "Own"})

    def _deletion(self) -> None:
        self._teller.chapter("Rome's operator is down; Paris deletes its side: gone at once, without asking anybody")
        self._rome.type_in("kill %1")
        self._stages[1].stop_operator()
        self._paris.run("kubectl delete interlink to-rome -n paris")
        self._paris.see_links({})
        self._paris.see_calls("paris", {"300": "NoMatch", "8200": "NoMatch"})
        self._rome.see_links({"rome/to-paris": LINKED}, "Nobody has told Rome's cluster yet:")

    def _return(self) -> None:
        self._teller.chapter("Rome's operator is back: it hears of the end, and Rome's side is gone too")
        self._rome.type_in(self._operators[1])
        self._stages[1].start_operator()
        self._rome.see_links({})
        self._rome.see_calls("rome", {"210": "NoMatch"})
        eventually("the end of the link in both clusters", dict.fromkeys(("paris", "rome"), "Deleted"), self._ends)
        self._teller.block("What is left is the memory that this key was used:")
        self._paris.run_and_show("kubectl get linkrecords")
        self._rome.run_and_show("kubectl get linkrecords")

    def _see_links(self, paris: dict[str, str], rome: dict[str, str]) -> None:
        self._paris.see_links(paris, "In Paris's cluster:")
        self._rome.see_links(rome, "In Rome's cluster:")

    def _ends(self) -> dict[str, str]:
        """Return, for each cluster, why the link ended."""
        return {
            name: ", ".join(r.spec.end.reason if r.spec.end else r.spec.state for r in stage.objects(LinkRecord))
            for name, stage in zip(("paris", "rome"), self._stages, strict=True)
        }
