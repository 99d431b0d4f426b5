obj.spec.gate = "Open"
return obj
