local actions = {}
actions["reconcile"] = {displayName = "Reconcile now", iconClass = "fa fa-fw fa-sync"}
actions["rotate-code"] = {displayName = "Make another activation code", iconClass = "fa fa-fw fa-key"}
return actions
