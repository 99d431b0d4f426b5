-- Calls stop on both sides; the link stays.
obj.spec.gate = "Closed"
return obj
