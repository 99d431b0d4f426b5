-- The operator follows kstatus, and says in one of three conditions how things stand: Ready, Reconciling, or Stalled if
-- a person must act. Anything else, such as a status of an older generation, is on its way.
-- https://github.com/pbx-operator/pbx-operator/blob/main/docs/gitops.md#argo-cd
local health = {status = "Progressing", message = "waiting for the operator"}
local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end
local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end
local ready, stalled = conditions["Ready"], conditions["Stalled"]
if ready ~= nil then
  health.message = ready.reason .. ": " .. ready.message
end
if stalled ~= nil and stalled.status == "True" then
  health.status = "Degraded"
elseif ready ~= nil and ready.status == "True" then
  health.status = "Healthy"
end
return health
