local actions = {}
actions["reconcile"] = {displayName = "Reconcile now", iconClass = "fa fa-fw fa-sync"}
return actions
