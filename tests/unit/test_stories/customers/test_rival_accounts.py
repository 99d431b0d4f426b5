"""Two accounts that want one SIP domain, each of which was awarded it before the other's status was written."""

from __future__ import annotations

from datetime import timedelta

from simulation.customers import CustomerSite
from simulation.process import Request, Task

SHARED = "shared.example"


def next_status(site: CustomerSite, *held: Task) -> Task:
    """Go on, beside calls that are on their way for long, until a status is about to be written."""
    while True:
        others = [task for task in site.process.requests() if task not in held]
        if not others:
            if unseen := site.process.unseen():
                site.process.watch(unseen[0])
            else:
                site.process.idle()[0].resume()
        elif isinstance(waiting := others[0].waiting, Request) and waiting.what == "PUT pbxaccounts/status":
            return others[0]
        else:
            site.serve(others[0])


def test_of_two_accounts_that_show_one_domain_the_younger_gives_way(site: CustomerSite) -> None:
    site.apply("older")
    site.settle()
    site.now += timedelta(seconds=1)
    site.apply("younger", sipDomain=SHARED)
    first = next_status(site)
    site.apply("older", sipDomain=SHARED)
    second = next_status(site, first)
    site.serve(first)
    site.work_beside(second)
    assert site.status("younger").sip_domain == SHARED
    site.serve(second)
    assert site.status("older").sip_domain == site.status("younger").sip_domain == SHARED, "for a moment"
    site.settle()
    assert (site.status("older").sip_domain, site.status("younger").sip_domain) == (SHARED, None)
    assert site.shown("Ready", "older") == ("True", "Serving")
    assert site.shown("Ready", "younger") == ("False", "DomainConflict")
