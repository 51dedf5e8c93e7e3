-- Health of a ModelRollout for Argo CD, from the conditions that kstatus reads too.
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for the operator to see this generation" }
end
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local function is(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end
local function told(kind)
  return conditions[kind] ~= nil and conditions[kind].message or ""
end
if status.halted then
  return { status = "Suspended", message = told("Stalled") }
end
if is("Stalled") then
  return { status = "Degraded", message = told("Stalled") }
end
if is("Reconciling") and status.pausedSince ~= nil then
  return { status = "Suspended", message = told("Reconciling") }
end
if is("Ready") then
  return { status = "Healthy", message = told("Ready") }
end
return { status = "Progressing", message = told("Reconciling") }
