"""The story: how boxes are declared, connected and let go, and what must be seen after each step.

Nice's box comes from stock, Lyon's is built to order; both connect to the operator.  Bern's is declared to a cloud.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from rich.console import Console
from three_offices.keeper import INSTALL, OPERATOR_USER
from three_offices.stage import NotAsExpectedError, Stage, eventually
from three_offices.telling import Teller

from comm_servers.beside import Line
from comm_servers.boxes import REFUSED, Box
from comm_servers.marks import LEGEND
from comm_servers.rainbow import Rainbow
from comm_servers.sites import Site

APPLY = "kubectl apply -f examples/comm-servers/{file}"
TELL_STOCK_BOX = (
    "echo $EXCHANGE > $NICE/endpoint",
    "sed -n 's/.*this is installation \\([a-z2-7]*\\);.*/\\1/p' $LOG > $NICE/instance",
    "sed -n 's/.*with the pin \\([A-Za-z0-9_-]*\\)\".*/\\1/p' $LOG > $NICE/pin",
    "echo ALE12-1234.5678.90 | tee $NICE/equipmentID > $NICE/activationCode",
)
TELL_BOX = """\
for entry in endpoint instance pin equipmentID activationCode; do
    kubectl get secret lyon-activation -n lyon -o jsonpath="{.data.$entry}" |
      base64 -d > $LYON/$entry
  done"""
BLOCK_112 = """\
kubectl patch commserver nice -n nice --type=merge \\
    -p '{"spec": {"numberingRules": [{"match": "^112$", "action": "Block"}]}}'"""
RENEW = """\
kubectl patch commserver lyon -n lyon --type=merge \\
    -p '{"spec": {"activation": {"revision": 2}}}'"""
WRITE_LOGIN = """\
kubectl create secret generic rainbow-login -n bern --from-literal=username=$LOGIN \\
    --from-literal=password={password} --from-literal=url=$RAINBOW \\
    --dry-run=client -o yaml | kubectl apply -f -"""
WRITE_APPLICATION = """\
kubectl create secret generic rainbow-application -n bern \\
    --from-literal=id=$APP_ID --from-literal=secret=$APP_SECRET"""
DECLARE = """\
sed "s,https://openrainbow.com,$RAINBOW," examples/comm-servers/rainbow.yaml |
    kubectl apply -f -"""
READ_SECRET = "kubectl get secret bern-activation -n bern -o jsonpath='{{.data.{entry}}}' | base64 -d"
OPERATOR = """\
SSL_CERT_FILE=… pbx-operator --exchange-endpoint $EXCHANGE \\
    {options} > $LOG 2>&1 &"""
NAME, OTHER_NAME = "Hotel in Bern", "Bern (old)"


class Story:
    """Tells the story on a console while it happens on a stage, whose operator was started with these words."""

    def __init__(self, stage: Stage, operator: Sequence[str], line: Line, rainbow: Rainbow, console: Console) -> None:
        folder = stage.log.parent  # goes with the sandbox, whatever happens to the demo
        self.folders = {office: folder / office for office in ("nice", "lyon")}
        """Where each box has what it was told, and its key."""
        self._stage = stage
        self._operator = operator
        self._line = line
        self._rainbow = rainbow
        self._teller = Teller(console)
        paths = {office.upper(): str(path) for office, path in self.folders.items()}
        self._exchange = operator[1]
        own = {"LOG": str(stage.log), "LINE": str(line.port), "EXCHANGE": self._exchange}
        self._site = Site(self._teller, stage, variables={**paths, **own, **rainbow.variables})

    def tell(self) -> None:
        """Go through all chapters. Raises NotAsExpectedError at the first step that is not as it should be."""
        for folder in self.folders.values():
            folder.mkdir()
        with ExitStack() as boxes:
            self._prologue()
            self._stock()
            self._connection(self._box("nice", "key", boxes))
            self._line_cut()
            self._rules()
            box = self._box("lyon", "key", boxes)
            self._built_to_order(box, self._box("lyon", "copy", boxes))
            self._new_code(box)
            self._wrong_password()
            self._cloud()
            self._drift()
            self._deletion()

    def _box(self, office: str, key: str, boxes: ExitStack) -> Box:
        box = Box(self._site, f"${office.upper()}", self.folders[office], key)
        boxes.callback(box.stop)
        return box

    def _prologue(self) -> None:
        self._teller.title("Communication servers on a real control plane")
        self._site.say(
            "Three hotels get a PBX each. Nice's and Lyon's connect to the operator itself: the program `pbx-operator"
            " device` is their box, and a port of this machine their phone line, up while somebody listens there."
            " Bern's is declared to ALE Rainbow, or rather to a simulator of it on this machine, whose certificate the"
            f" operator trusts (SSL_CERT_FILE). It runs as user {OPERATOR_USER}."
        )
        self._site.type_in(*INSTALL)
        self._site.say("Files for the operator's log and for what each box is told; the exchange; and the line's port:")
        self._site.type_in(
            "LOG=$(mktemp) NICE=$(mktemp -d) LYON=$(mktemp -d)",
            f"EXCHANGE={self._exchange} LINE={self._line.port}",
            OPERATOR.format(options=" ".join(self._operator[2:])),
        )
        self._site.say("After each step you see what kubectl says of the server, and why, with a mark for its state:")
        self._teller.block(LEGEND)

    def _stock(self) -> None:
        self._teller.chapter("Nice declares a box from stock: Pending. Its code is its name, so it can be guessed")
        self._site.run(APPLY.format(file="stock.yaml"))
        self._site.see("nice", state="Pending", Ready="Declared", WeakActivationCode="StockCode")
        self._site.show_conditions("nice")

    def _connection(self, box: Box) -> None:
        self._teller.chapter("The box is told where the operator is, and connects: Running. The code is spent")
        self._site.say("Who the operator is, and how to know it, is in the first lines of its log:")
        self._site.run(*TELL_STOCK_BOX)
        box.start()
        self._site.see("nice", state="Running", Ready="Running", channels="sip Up", WeakActivationCode="-")

    def _line_cut(self) -> None:
        self._teller.chapter("Its phone line goes down, and comes back")
        self._site.say("Nobody listens at $LINE any more:")
        self._line.down()
        self._site.see("nice", state="Degraded", Ready="Degraded", channels="sip Down")
        self._site.say("Somebody listens there again:")
        self._line.up()
        self._site.see("nice", state="Running", Ready="Running", channels="sip Up")

    def _rules(self) -> None:
        self._teller.chapter("A numbering rule that blocks an emergency number is refused; what others do is shown")
        self._site.run(BLOCK_112)
        self._site.see("nice", state="Running", Ready="EmergencyCall", Accepted="EmergencyCall")
        self._site.say("The box runs on, with the rules that it had.")
        self._site.run(APPLY.format(file="stock.yaml"))
        server = self._site.wait_for("nice", state="Running", Ready="Running", Accepted="Accepted")
        self._site.say(
            "The rules of this file are fine. For some numbers: what is dialed, what kind of number that is, what the"
            " PBX gets (nothing, if it is blocked), and what decided so:"
        )
        self._site.show_translations(server)

    def _built_to_order(self, box: Box, copy: Box) -> None:
        self._teller.chapter("Lyon's box is built to order: its code is in a Secret, and only one box gets in with it")
        self._site.run(APPLY.format(file="btco.yaml"))
        self._site.see("lyon", state="Pending", Ready="Declared", WeakActivationCode="-")
        self._site.run(TELL_BOX)
        box.start()
        self._site.see("lyon", state="Running", Ready="Running", channels="sip Up")
        self._site.say("Another box comes with the same code:")
        copy.start()
        self._site.say(f"It ends, with exit status {REFUSED}: {copy.refused()}")

    def _new_code(self, box: Box) -> None:
        self._teller.chapter("Lyon asks for another code: Pending, and the box is out until it is told the new one")
        self._site.run(RENEW)
        self._site.see("lyon", state="Pending", Ready="Declared")
        self._line.down()  # so that the box does not wait with its report for half a minute
        self._site.say(
            "Nobody listens at $LINE for a moment, so the box has something to tell. It ends, with exit status"
            f" {REFUSED}: {box.refused()}"
        )
        self._line.up()
        self._site.run(TELL_BOX)
        box.start()
        self._site.see("lyon", state="Running", Ready="Running", channels="sip Up")

    def _wrong_password(self) -> None:
        self._teller.chapter("Bern has a wrong password for Rainbow: it is tried once, since five would lock it out")
        known = self._rainbow.variables
        self._site.say("What the reseller of the hotel knows of Rainbow:")
        self._site.type_in(
            f"RAINBOW={known['RAINBOW']} LOGIN={known['LOGIN']} PASSWORD=…", f"APP_ID={known['APP_ID']} APP_SECRET=…"
        )
        self._site.run("kubectl create namespace bern", WRITE_APPLICATION, WRITE_LOGIN.format(password="guess"))
        self._site.run(DECLARE)
        self._site.see("bern", Ready="CredentialsRejected", state="-")
        self._site.say("By itself the operator looks again after minutes; this makes it look now:")
        self._site.look("bern")
        self._see_logins(401)

    def _cloud(self) -> None:
        self._teller.chapter("With the right one the server is declared, and Running once the box has connected")
        self._site.run(WRITE_LOGIN.format(password="$PASSWORD"))
        self._site.look("bern")
        server = self._site.see("bern", state="Pending", Ready="Declared")
        self._see_logins(401, 200)
        equipment_id, code = (
            self._stage.shell(READ_SECRET.format(entry=entry)) for entry in ("equipmentID", "activationCode")
        )
        self._check("the equipment ID in the Secret", server.status.equipment_id or "none", equipment_id)
        self._site.say("Somebody types what the Secret bern-activation says into the box, and it connects to Rainbow.")
        self._rainbow.connect(equipment_id, code)
        self._site.look("bern")
        self._site.see("bern", state="Running", Ready="Running")

    def _drift(self) -> None:
        self._teller.chapter("Somebody gives the server another name in Rainbow: it is taken back, and told")
        (equipment_id,) = self._rainbow.names()
        self._rainbow.rename(equipment_id, OTHER_NAME)
        self._site.say(f"In Rainbow, its name is {self._rainbow.names()[equipment_id]} now.")
        self._site.look("bern")
        eventually("the names in Rainbow", {equipment_id: NAME}, self._rainbow.names)
        self._site.say(f"In Rainbow, its name is {self._rainbow.names()[equipment_id]} again.")
        message = (
            "somebody changed it at the provider, and it was changed back:"
            f" displayName is {OTHER_NAME!r}, wanted is {NAME!r}"
        )
        self._site.see_event("bern", "DriftCorrected", message)

    def _deletion(self) -> None:
        self._teller.chapter("Bern's server is deleted, and Rainbow has it no more. All that Rainbow was told to do:")
        self._site.run("kubectl delete commserver bern -n bern")
        self._site.see_gone("bern")
        self._check("the servers that Rainbow has", "none", ", ".join(self._rainbow.names()) or "none")
        calls = self._rainbow.writes()
        done = [(call.method, call.status) for call in calls]
        self._check("what Rainbow was told to do", [("POST", 200), ("PUT", 200), ("DELETE", 200)], done)
        self._teller.block("\n".join(f"{call.method:6} {call.path}" for call in calls))

    def _see_logins(self, *statuses: int) -> None:
        """Show the attempts to log in, which must be these and no others."""
        calls = self._rainbow.logins()
        self._check("the logins that Rainbow was asked for", list(statuses), [call.status for call in calls])
        lines = [f"login {index}: {call.who}, answer {call.status}" for index, call in enumerate(calls, 1)]
        self._teller.block("\n".join(["In Rainbow's journal:", *lines]))

    def _check(self, what: str, expected: object, seen: object) -> None:
        if expected != seen:
            raise NotAsExpectedError(what, expected, seen)
