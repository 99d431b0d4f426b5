-- Whoever is connected is out until the box is told the new code.
if obj.spec.activation == nil then
  obj.spec.activation = {}
end
obj.spec.activation.revision = (obj.spec.activation.revision or 1) + 1
return obj
