-- Which actions can be done now.
local status = obj.status or {}
local phase = status.phase or ""
local early = phase == "Starting" or phase == "Trial" or phase == "Promoting" or phase == "Shifting"
local paused = obj.spec.paused == true
local resting = phase == "Promoted" or phase == "RolledBack" or phase == "Invalid"
return {
  abort = { disabled = not early },
  promote = { disabled = phase ~= "Trial" },
  skip = { disabled = phase ~= "Trial" or paused or status.halted == true },
  retry = { disabled = not (phase == "RolledBack" or status.halted == true) },
  pause = { disabled = paused or resting },
  resume = { disabled = not paused },
}
