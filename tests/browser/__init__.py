"""The dashboard in a real browser, before a real kube-apiserver and the real operator."""
