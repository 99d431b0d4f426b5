local actions = {}
actions["reconcile"] = {displayName = "Reconcile now", iconClass = "fa fa-fw fa-sync"}
local closed = obj.spec.gate == "Closed"
actions["suspend"] = {displayName = "Suspend calls", iconClass = "fa fa-fw fa-pause", disabled = closed}
actions["resume"] = {displayName = "Resume calls", iconClass = "fa fa-fw fa-play", disabled = not closed}
-- whoever redeems a key has none to make
actions["rotate-key"] = {displayName = "Make another key", iconClass = "fa fa-fw fa-key", disabled = obj.spec.issueKey == nil}
return actions
