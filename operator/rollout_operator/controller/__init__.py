"""The control loop: watch, queue, observe, act."""
