-- Holds everything where it is. Self-healing from Git takes it back: pause there, if it is to last.
obj.spec.paused = true
return obj
