"""Where a demo plays: a control plane with the operator, a shell, and patience until something is as expected.

Everything is read from the API server, so what a demo shows is what the cluster says.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from click import ClickException

from pbx_operator.api.meta import ObjectKey, Resource
from pbx_operator.cli.dial import Published, read_published
from pbx_operator.cluster import ApiError, Cluster
from pbx_operator.sandbox.processes import tied
from three_offices.keeper import KEEP, ROOT, START, STOP

R = TypeVar("R", bound=Resource)
Facts = Mapping[str, str]
"""What is so, by the name of what it is about."""

DEADLINE_SECONDS = 30.0
_PAUSE_SECONDS = 0.05
_WARNINGS = 3


class NotAsExpectedError(Exception):
    """A step of a demo did not do what it should; the message says what was expected and what was seen."""

    def __init__(self, what: str, expected: object, seen: object) -> None:
        super().__init__(f"{what}\n   expected: {expected}\n   seen:     {seen}")


def eventually(what: str, expected: Facts, look: Callable[[], Facts]) -> None:
    """Look until all facts are as expected, and there are no others.

    Raises NotAsExpectedError with what was seen last if that takes longer than DEADLINE_SECONDS.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (seen := _try(look)) != expected:
        if time.monotonic() > deadline:
            raise NotAsExpectedError(f"{what}, after {DEADLINE_SECONDS:.0f} s", *_differences(expected, seen))
        time.sleep(_PAUSE_SECONDS)


def _try(look: Callable[[], Facts]) -> Facts | str:
    try:
        return look()
    except (ApiError, ClickException) as error:
        return str(error)


def _differences(expected: Facts, seen: Facts | str) -> tuple[str, ...]:
    """Return what was expected and what was seen, as far as they differ."""
    if isinstance(seen, str):
        return _in_words(expected), seen
    names = sorted(name for name in {*expected, *seen} if expected.get(name) != seen.get(name))
    return tuple(_in_words({name: facts.get(name, "nothing") for name in names}) for facts in (expected, seen))


def _in_words(facts: Facts) -> str:
    return "; ".join(f"{name}: {fact}" for name, fact in facts.items())


@dataclass(frozen=True, slots=True)
class Stage:
    """A control plane in which the operator runs."""

    keeper: subprocess.Popen[str]
    kubeconfig: Path
    kubectl: Path
    log: Path
    """The operator's log, in a directory that goes with the control plane."""
    authority: Path
    """Where the certificate authority of the control plane is."""

    def shell(self, command: str, variables: Mapping[str, str] | None = None) -> str:
        """Run a command as an administrator of the cluster would type it, and return what it prints.

        Raises NotAsExpectedError if it fails.
        """
        environ = self._environ(variables or {})
        done = subprocess.run(command, shell=True, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            seen = f"exit code {done.returncode}, {done.stderr.strip()}"
            raise NotAsExpectedError(f"$ {command}", "exit code 0", seen)
        return done.stdout + done.stderr

    def start(self, command: str, variables: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
        """Start a program as an administrator would; it lives no longer than the demo, and speaks into a file."""
        with output.open("ab") as file:
            return subprocess.Popen(
                tied(["sh", "-c", f"exec {command}"], signal.SIGKILL),  # to the main thread, which tells the story
                cwd=ROOT,
                env=self._environ(variables),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    def _environ(self, variables: Mapping[str, str]) -> dict[str, str]:
        programs = [str(self.kubectl.parent), str(Path(sys.executable).parent)]
        path = os.pathsep.join([*programs, os.environ["PATH"]])
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": path, **variables}

    def objects(self, model: type[R]) -> list[R]:
        """Return all objects of a kind. Raises ApiError."""
        self._check()
        return asyncio.run(self._objects(model))

    async def _objects(self, model: type[R]) -> list[R]:
        async with Cluster.connect(str(self.kubeconfig), user_agent="pbx-demo") as cluster:
            return [model.model_validate(item) for item in (await cluster.list(model.resource)).items]

    def published(self, account: ObjectKey) -> Published:
        """Return what a SIP server of an account can see. Raises ApiError, or ClickException if there is nothing."""
        self._check()
        return asyncio.run(self._published(account))

    async def _published(self, account: ObjectKey) -> Published:
        async with Cluster.connect(str(self.kubeconfig), user_agent="pbx-demo") as cluster:
            return await read_published(cluster, account)

    def warnings(self) -> list[str]:
        """Return the operator's last complaints."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [f"{line['level']}: {line['msg']}" for line in lines if line["level"] != "info"][-_WARNINGS:]

    def keep(self) -> None:
        """Let everything run on after the demo has ended."""
        with _pipe(self.keeper.stdin) as keeper:
            keeper.write(KEEP.decode())

    def stop_operator(self) -> None:
        """Let the operator end in order. Raises NotAsExpectedError if it does not."""
        self._demand(STOP)

    def start_operator(self) -> None:
        """Start the operator that was stopped."""
        self._demand(START)

    def _demand(self, what: bytes) -> None:
        keeper = _pipe(self.keeper.stdin)
        keeper.write(what.decode())
        keeper.flush()
        if not (answer := _pipe(self.keeper.stdout).readline()).startswith("{"):
            rest = _pipe(self.keeper.stdout).read()
            raise NotAsExpectedError(f"the operator, asked to {what.decode().strip()}", "it does", f"{answer}{rest}")

    def _check(self) -> None:
        if self.keeper.poll() is not None:
            raise NotAsExpectedError("the operator runs", "running", _pipe(self.keeper.stdout).read().strip())


@contextmanager
def set_stage(
    sandbox: str | None,
    tell: Callable[[str], None],
    operator_options: Sequence[str] = (),
    *,
    trusting: bool = False,
) -> Iterator[Stage]:
    """Start everything, passing on what is told meanwhile; end it at the end, unless it is kept.

    `sandbox` names the control plane; None gives it a random name.  A `trusting` operator takes the stage's authority
    for the only one that vouches for servers elsewhere.
    Raises NotAsExpectedError if something does not start, or does not end in order.
    """
    wishes = [*(["--name", sandbox] if sandbox else []), *(["--trusting"] if trusting else [])]
    keeper = subprocess.Popen(
        [sys.executable, ROOT / "tools" / "three_offices" / "keeper.py", *wishes, "--", *operator_options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C is for the demo, which then ends the keeper in order
    )
    try:
        facts = _wait_for_facts(keeper, tell)
        yield Stage(keeper, **facts)
    except BaseException as problem:
        keeper.terminate()
        if last_words := _await_end(keeper):
            problem.add_note(last_words)
        raise
    if _pipe(keeper.stdin).closed:
        return
    _pipe(keeper.stdin).close()
    last_words = _await_end(keeper)
    if keeper.returncode != 0:
        raise NotAsExpectedError("the end of everything", "exit code 0", last_words)


def _wait_for_facts(keeper: subprocess.Popen[str], tell: Callable[[str], None]) -> dict[str, Path]:
    problems = []
    for line in _pipe(keeper.stdout):
        if line.startswith("{"):
            return {name: Path(value) for name, value in json.loads(line).items()}
        if line.startswith("sandbox: "):
            tell(line.rstrip())
        else:
            problems.append(line)
    raise NotAsExpectedError("setting the stage", "a control plane and the operator", "".join(problems).strip())


def _await_end(keeper: subprocess.Popen[str]) -> str:
    last_words = _pipe(keeper.stdout).read()
    keeper.wait()
    return last_words.strip()


def _pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise ValueError("the keeper has no such pipe")
    return stream
