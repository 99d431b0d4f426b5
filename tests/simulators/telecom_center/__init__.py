"""A simulator of the customers of the telecom.center Operator API, which sells phone.systems under other names.

It lets tests see what a client of that API does when the network, the service or somebody else is in its way.  It
shares no code with the operator, so that a misreading of the documents cannot hide on both sides.

    async with TelecomCenter("operator", "secret") as center:
        client = Client(center.url, "operator", "secret")
        crash = center.add(Fault(writes(), nth=2, at="after-commit", do=operator.kill, then="drop"))
        await crash.hit()
        center.customers.put("7", name="Changed by somebody else")
        assert [call.status for call in center.journal.select(method="POST")] == [201]

`credentials` know nothing of telecom.center, `jsonapi` and `query` nothing of its customers: they serve a simulator of
any API over HTTP or of any JSON:API.

Sources.  Each rule names its own; where none says more, it is what the documents below say in this order:

- DOCS: https://doc.telecom.center/headers.html, /fetching-data.html, /reference/customers.html.  The tables of
  "Fetching", "Updating" and "Deleting a Customer" could not be read, only their list of methods.
- CLIENT: https://github.com/yeti-switch/yeti-web, app/models/billing/provisioning/phone_systems and its specs: a
  client in use.  Its specs answer with stubs; they prove what it sends, not what the service says.
- JSON:API: https://jsonapi.org/format/1.0/, which DOCS promises to follow.
- GEM: https://github.com/cerebris/jsonapi-resources v0.9.9.  That the service is built with it is inferred: the
  message of its 404 in CLIENT is the gem's word for word.  Codes, titles and details of errors come from it.
"""

from simulators.faults import NO_ROUTE, NO_SUCH_PAGE, Answer, Fault
from simulators.journal import Call, Journal, calls, writes
from simulators.telecom_center.center import PATH, TelecomCenter
from simulators.telecom_center.customers import LANGUAGES, TERMINATION_MODES, Customers
from strikes import Hold

__all__ = [
    "LANGUAGES",
    "NO_ROUTE",
    "NO_SUCH_PAGE",
    "PATH",
    "TERMINATION_MODES",
    "Answer",
    "Call",
    "Customers",
    "Fault",
    "Hold",
    "Journal",
    "TelecomCenter",
    "calls",
    "writes",
]
