-- A command for the attempt under way, and for no other: replayed later, it does nothing.
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["rollouts.mlops.dev/promote"] = "" .. obj.status.attempt
return obj
