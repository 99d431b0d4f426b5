"""What the placeholders in the messages of the table of reasons stand for, for the reference page."""

from __future__ import annotations

from collections.abc import Mapping

FACTS: Mapping[str, str] = {
    "account": "metadata.name of the PBXAccount",
    "advice": "what to look at, or that it is tried again",
    "code": "the provider's number of the error",
    "company": "the value of `spec.provider.rainbow.company`",
    "contact": "the whole message: that the box is connected, the channels that are down, four of them by name, that it"
    " is silent, or that it has no exchange to connect to; and the next step",
    "count": "how many there are",
    "country": "the value of `spec.country`, or of `spec.dialing.country` of a CommServer",
    "customer": "the id of the provider's customer",
    "detail": "what keeps that side from it",
    "domain": "the SIP domain that the account would have",
    "drift": "each field that differs, as it is and as it is wanted",
    "entries": "the entries of the Secret's data",
    "entry": "the entry of the Secret's data",
    "equipment": "the equipment ID",
    "field": "the path of the field",
    "finding": "the whole message: the digits, the emergency number and the next step",
    "holder": "metadata.name of the object that has it",
    "host": "the host of the provider's URL",
    "identity": "namespace and name of the Secret with the operator's identity",
    "instance": "the id of this installation, as the issuer's list needs it",
    "key_id": "the public name of the key, as in `status.keyID`",
    "kind": "`account` or `number`",
    "left": "the system or customer that stays, and where",
    "missing": "the PBXAccount of this side, or an object of the other side",
    "name": "metadata.name of the PBXAccount",
    "next_step": "what to do: where the account is missing, how another one is named; on this side of a link, such as"
    " how it gets a new key (from the peer into the Secret, or by a higher `spec.issueKey.revision`); at a provider,"
    " such as where something is deleted; of a deletion, that it goes by itself, or how to let it go",
    "number": "the value of `spec.number`",
    "other": "the Interlink that the same account has in the other link",
    "outcome": "what comes of the revision when the link ends, which depends on `spec.onPeerDeletion`",
    "owner": "the namespace whose accounts may have the SIP domain",
    "prefix": "the dial prefix or the reserved prefix",
    "problem": "what does not fit; nothing is quoted but endpoints",
    "problems": "what does not fit, and the next step, for the first five problems",
    "progress": "the whole message: what goes on, or what it waits for",
    "rival": "kind and metadata.name of the object that has it; of one in another namespace the kind alone",
    "sample": "the first of them",
    "revision": "the wanted `spec.issueKey.revision`",
    "secret": "metadata.name of the Secret, and the field that names it where that is a provider's",
    "secrets": "the same of each Secret that may be wrong",
    "site": "the value of `spec.provider.rainbow.siteID`",
    "slice": "metadata.name of the DialPlanSlice",
    "step": "how the box is connected: by what its Secret says, or from stock by what it knows",
    "thing": "the object that is in the way",
    "url": "the provider's URL",
    "value": "the field and its value",
    "waiting": "what the deletion waits for",
    "warnings": "what is tolerated, and the next step",
    "words": "the provider's own words",
}
"""What each placeholder of the table stands for."""
