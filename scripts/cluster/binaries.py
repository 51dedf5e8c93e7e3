import os
from pathlib import Path
from scripts.cluster.apiserver import Binaries
def binaries() -> Binaries:
    return Binaries(Path('/usr/bin/etcd'), Path('/tmp/w/gobuild/bin/kube-apiserver'))
