local actions = {}
actions["reconcile"] = {displayName = "Reconcile now", iconClass = "fa fa-fw fa-sync"}
local closed = obj.spec.gate == "Closed"
actions["suspend"] = {displayName = "Suspend calls", iconClass = "fa fa-fw fa-pause", disabled = closed}
actions["resume"] = {displayName = "Resume calls", iconClass = "fa fa-fw fa-play", disabled = not closed}
-- whoever redeems a key, or brings one along, lets none be made
local brought = obj.spec.issueKey == nil or obj.spec.issueKey.fromSecretRef ~= nil
actions["rotate-key"] = {displayName = "Make another key", iconClass = "fa fa-fw fa-key", disabled = brought}
return actions
