"""ALE Rainbow as a provider of systems, through its admin API.

`session` logs in, `refusals` says what each error code means, `client` has the calls, `documents` and `translation` the
two languages, and `systems` is what the engine talks to.  The facts come from the public OpenAPI 1.82 of the admin
portal and from Rainbow-Node-SDK 2.46 (both MIT); `docs/providers.md` tells what the operator makes of them.
"""

from pbx_operator.providers.rainbow.session import Sessions
from pbx_operator.providers.rainbow.systems import RainbowSystems

__all__ = ["RainbowSystems", "Sessions"]
