"""How a demo is told: chapters on a console, and terminals on which commands are typed, shown and checked.

Every command is run exactly as it is printed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, InternalNumber, PBXAccount
from pbx_operator.cli.tables import print_answers, print_links
from pbx_operator.domain.conditions import find
from pbx_operator.domain.dialplan.reader import Answer, DialPlan, Why
from three_offices.stage import Stage, eventually

INDENT = "   "


class Teller:
    """Prints titles, numbered chapters and indented blocks."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._chapters = 0

    def title(self, text: str) -> None:
        """Print a heading."""
        self._console.print(Text(f"\n{text}", style="bold"))

    def chapter(self, text: str) -> None:
        """Print a heading with the next number."""
        self._chapters += 1
        self.title(f"{self._chapters}. {text}")

    def show(self, show: Callable[[Console], None]) -> None:
        """Print a block of what is printed on the console that is passed."""
        with self._console.capture() as captured:
            show(self._console)
        self.block(captured.get())

    def block(self, text: str) -> None:
        """Print lines after an empty one."""
        self._console.print()
        self.lines(text)

    def lines(self, text: str) -> None:
        """Print lines."""
        for line in text.splitlines():
            self._console.out(f"{INDENT}{line}".rstrip(), highlight=False)


class Terminal:
    """Where somebody works with one cluster; `variables` are the shell's beside those of this process."""

    def __init__(
        self, teller: Teller, stage: Stage, prompt: str = "$", variables: Mapping[str, str] | None = None
    ) -> None:
        self._teller = teller
        self._stage = stage
        self._prompt = prompt
        self._variables = variables

    def run(self, *commands: str) -> str:
        """Run commands one by one, each shown before; return what the last one prints.

        Raises NotAsExpectedError if one fails.
        """
        output = ""
        self._teller.block("")
        for command in commands:
            self._teller.lines(f"{self._prompt} {command}")
            output = self._stage.shell(command, self._variables)
        return output

    def start(self, command: str, output: Path) -> subprocess.Popen[bytes]:
        """Start a program in the background, shown before; what it says goes to a file."""
        self._teller.block("")
        self._teller.lines(f"{self._prompt} {command} &")
        return self._stage.start(command, self._variables or {}, output)

    def run_and_show(self, command: str) -> None:
        """Run a command and show what it prints."""
        self._teller.block(self.run(command))

    def type_in(self, *commands: str) -> None:
        """Show commands that somebody else carries out."""
        self._teller.block("\n".join(f"{self._prompt} {command}" for command in commands))

    def see_reasons(self, model: type[PBXAccount] | type[InternalNumber], expected: Mapping[str, str]) -> None:
        """Wait until the Ready conditions of all objects of a kind have these reasons. Raises NotAsExpectedError."""

        def look() -> dict[str, str]:
            ready = {str(o.key): find(o.status.conditions, "Ready") for o in self._stage.objects(model)}
            return {name: condition.reason if condition else "not seen yet" for name, condition in ready.items()}

        eventually(f"the {model.resource.plural}", expected, look)

    def see_links(self, expected: Mapping[str, str], caption: str = "") -> None:
        """Wait until there are these links, in these states, and show them. Raises NotAsExpectedError."""
        links: list[Interlink] = []

        def look() -> dict[str, str]:
            links[:] = self._stage.objects(Interlink)
            return {str(link.key): f"{link.status.state}, {link.status.gate}" for link in links}

        eventually("the links", expected, look)
        if not links:
            self.run_and_show("kubectl get interlinks -A")
            return
        if caption:
            self._teller.block(caption)
        self._teller.show(lambda console: print_links(console, links))

    def see_calls(self, account: str, expected: Mapping[str, str]) -> None:
        """Wait until these digits lead where they should, and show it. Raises NotAsExpectedError."""
        answers: list[Answer] = []

        def look() -> dict[str, str]:
            published = self._stage.published(ObjectKey(account, account))
            plan = DialPlan(published.account, published.slices, published.interlinks)
            answers[:] = [plan.answer(digits) for digits in expected]
            return {answer.digits: _outcome(answer) for answer in answers}

        self.type_in(f"pbx dial {account} {' '.join(expected)} -n {account}")
        eventually(f"what phones in {account.capitalize()} reach", expected, look)
        self._teller.show(lambda console: print_answers(console, answers))


def _outcome(answer: Answer) -> str:
    """Return what matters of an answer in a few words."""
    hidden = [passed.target for passed in answer.passed_over if passed.why is Why.HIDDEN]
    reached = f"{answer.outcome} {answer.target}" if answer.target else answer.outcome
    return f"{reached}, hides {', '.join(hidden)}" if hidden else reached
