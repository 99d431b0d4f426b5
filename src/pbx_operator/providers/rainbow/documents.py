"""What Rainbow answers, as far as the operator reads it; whatever else it says is left alone."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field


def _texts(value: object) -> object:
    """Return a list for what Rainbow's documents call a list in one place and a single text in another."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]


class Named(BaseModel):
    """A company or a site."""

    id: str
    name: Text = ""


class Rule(BaseModel):
    """A numbering rule; an empty replacement blocks."""

    match: str = Field(alias="regexpMatch")
    replace: Text = Field("", alias="regexpReplace")
    description: Text = ""


class System(BaseModel):
    """A system; `repr` does not show its code."""

    id: str
    name: Text = ""
    country: Text = ""
    site_ids: Texts = Field((), alias="siteId")
    status: str
    password: Text = Field("", alias="jid_pbxagent_password", repr=False)
    """The activation code until the box has used it; then the hash of another one."""
    national_prefix: Text = Field("", alias="pbxNationalPrefix")
    international_prefix: Text = Field("", alias="pbxInternationalPrefix")
    outbound_prefixes: Texts = Field((), alias="pbxMainBundlePrefix")
    uses_outbound_prefix: bool | None = Field(None, alias="usePbxMainBundlePrefix")
    rules: Annotated[tuple[Rule, ...], BeforeValidator(lambda value: value or ())] = Field(
        (), alias="pbxNumberingTranslator"
    )

    @property
    def waits(self) -> bool:
        """Whether the box has not used its activation code yet."""
        return self.status in ("created", "activating")


class State(BaseModel):
    """The channels of a system, in words that no document enumerates; one that is absent does not exist."""

    timestamp: float | str | None = None
    conf: str | bool | None = None
    csta: str | bool | None = None
    http: str | bool | None = None
    xmpp: str | bool | None = None
