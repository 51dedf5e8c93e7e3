"""The programs that come from Go modules: built once into the cache, keyed by everything that goes
into them.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.cluster.paths import CACHE, HERE
from scripts.cluster.progress import doing
from scripts.cluster.shell import run

KUBERNETES = "1.34.4"
_STAMP = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Component:
    """Programs that are built from one go.mod, in scripts/cluster/go/<name>."""

    name: str
    packages: tuple[str, ...]
    minutes: str
    ldflags: str = "-s -w"
    cgo: str = "0"
    tags: str = ""
    toolchain: str = "local"
    """Which Go builds it, where that of the machine is too old for its go.mod."""

    @property
    def source(self) -> Path:
        """The folder with go.mod and go.sum."""
        return HERE / "go" / self.name

    @property
    def key(self) -> str:
        """Changes with the module versions, the flags and the toolchain-independent parts of the
        build.
        """
        files = sorted(f for f in self.source.rglob("*") if f.is_file())
        parts = [self.ldflags, self.cgo, self.tags, *self.packages, *(f.read_text() for f in files)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

    @property
    def folder(self) -> Path:
        """Where the programs are, once built."""
        return CACHE / "bin" / f"{self.name}-{self.key}"


COMPONENTS = (
    Component(
        "kubernetes",
        tuple(
            f"k8s.io/kubernetes/cmd/{program}"
            for program in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubelet",
                "kube-proxy",
                "kubectl",
            )
        ),
        minutes="6 to 10",
        # Without these, nodes and clients read v0.0.0-master.
        ldflags=(
            f"-s -w -X {_STAMP}.gitVersion=v{KUBERNETES} -X {_STAMP}.gitMajor=1 -X"
            f" {_STAMP}.gitMinor=34"
        ),
        cgo="1",
    ),
    Component("traefik", ("github.com/traefik/traefik/v3/cmd/traefik",), minutes="4 to 6"),
    Component(
        "prometheus",
        (
            "github.com/prometheus/prometheus/cmd/prometheus",
            "github.com/prometheus/prometheus/cmd/promtool",
        ),
        minutes="3 to 5",
        tags="remove_all_sd,enable_kubernetes_sd",
    ),
    Component("coredns", ("github.com/coredns/coredns",), minutes="2 to 3"),
    Component("helm", ("helm.sh/helm/v4/cmd/helm",), minutes="2 to 4"),
    Component("kube-score", ("github.com/zegl/kube-score/cmd/kube-score",), minutes="1 to 2"),
    Component("actionlint", ("github.com/rhysd/actionlint/cmd/actionlint",), minutes="1 to 2"),
)

KWOK = Component("kwok", ("sigs.k8s.io/kwok/cmd/kwok",), minutes="1 to 2")
"""Plays nodes and pods; only the operator benchmark's full mode needs it, which builds it."""

METRICS_SERVER = Component(
    "metrics-server", ("sigs.k8s.io/metrics-server/cmd/metrics-server",), minutes="3 to 5"
)
"""Tells autoscalers how much CPU and memory pods use: `--with metrics-server`."""

STORES = Component("stores", ("./rclone", "github.com/fsouza/fake-gcs-server"), minutes="3 to 6")
"""Servers that speak S3 and Google Cloud Storage; `make test-stores` builds them."""

REGISTRY = Component(
    "registry", ("github.com/distribution/distribution/v3/cmd/registry",), minutes="2 to 3"
)
"""An OCI registry; `make test-stores` builds it."""

ORAS = Component("oras", ("oras.land/oras/cmd/oras",), minutes="1 to 2")
"""Writes indices of images, and files, to an OCI registry; releases build it."""

COSIGN = Component("cosign", ("github.com/sigstore/cosign/v3/cmd/cosign",), minutes="4 to 6")
"""Signs what is released; releases build it."""

KREW = Component("krew", ("sigs.k8s.io/krew/cmd/krew",), minutes="1 to 2")
"""Installs kubectl's plugins; the rehearsal of a release builds it."""

ENVOY = Component("envoy", ("github.com/envoyproxy/gateway/cmd/envoy-gateway",), minutes="5 to 8")
"""Envoy Gateway, which configures Envoy; `make bench-routers` builds it. Its chart lies beside
it."""

VERIFY = "git-verify-wrapper.sh"
ARGOCD = Component("argocd", ("./argocd",), minutes="10 to 20")
"""Argo CD's controllers and repo-server; `make test-gitops` builds them. Its CRDs lie beside
them."""

FLUX = Component(
    "flux",
    ("github.com/fluxcd/source-controller", "github.com/fluxcd/kustomize-controller"),
    minutes="10 to 20",
)
"""Flux' controllers; `make test-gitops` builds them. Their CRDs lie beside them."""

VICTORIA_METRICS = Component(
    "victoria-metrics",
    ("github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-metrics",),
    minutes="3 to 5",
)
"""What many run in Prometheus' place; `make test-prometheus` builds it."""

ARGO_ROLLOUTS = Component(
    "argo-rollouts",
    ("github.com/argoproj/argo-rollouts/cmd/rollouts-controller",),
    minutes="5 to 8",
    toolchain="go1.26.10",
)
FLAGGER = Component("flagger", ("github.com/fluxcd/flagger/cmd/flagger",), minutes="2 to 4")
"""The peers that `make bench-peers` runs beside the operator, which builds them; their CRDs lie
beside the programs."""


def program(name: str) -> Path:
    """Path of a built program; raises FileNotFoundError where `build` has not run."""
    extras = (KWOK, METRICS_SERVER, STORES, REGISTRY, ENVOY, VICTORIA_METRICS, ARGOCD, FLUX)
    for component in (*COMPONENTS, *extras, ORAS, COSIGN, KREW, ARGO_ROLLOUTS, FLAGGER):
        if (path := component.folder / name).exists():
            return path
    raise FileNotFoundError(f"{name} is not built yet: run `python3 -m scripts.cluster build`")


def build(component: Component) -> None:
    """Build what is not in the cache; a build that is cut off leaves nothing that looks
    complete. Of two processes that want the same one builds it, and the other waits.
    """
    with _alone(component):
        if not component.folder.exists():
            _build(component)


@contextlib.contextmanager
def _alone(component: Component) -> Iterator[None]:
    component.folder.parent.mkdir(parents=True, exist_ok=True)
    with component.folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(component: Component) -> None:
    if shutil.which("go") is None:
        raise FileNotFoundError(
            "Go is not installed: install Go 1.26 or later, or use a cluster of your own with"
            " CLUSTER=existing"
        )
    names = ", ".join(p.rsplit("/", 1)[1] for p in component.packages)
    what = (
        f"Building {component.name} ({names}) from Go modules; about {component.minutes} minutes"
        " the first time"
    )
    with doing(what), tempfile.TemporaryDirectory(dir=component.folder.parent) as work:
        source, out = Path(work) / "src", Path(work) / "out"
        shutil.copytree(component.source, source)
        out.mkdir()
        if component.name == "traefik":
            stub_lego(source)
        command = [
            "go",
            "build",
            "-mod=mod",
            "-trimpath",
            "-tags",
            component.tags,
            "-ldflags",
            component.ldflags,
        ]
        command += ["-o", f"{out}/", *component.packages]
        toolchain = os.environ.get("GOTOOLCHAIN", component.toolchain)
        env = {"CGO_ENABLED": component.cgo, "GOFLAGS": "", "GOTOOLCHAIN": toolchain}
        run(command, cwd=source, env=env)
        _add_files(component, source, out, toolchain)
        out.rename(component.folder)


def _add_files(component: Component, source: Path, out: Path, toolchain: str) -> None:
    """Put what lies in its module and goes with it beside its programs."""
    if component.name == "traefik":
        shutil.copytree(
            _module(source, "sigs.k8s.io/gateway-api") / "config/crd/standard",
            out / "gateway-api",
        )
    if component.name == "kwok":
        shutil.copytree(_module(source, "sigs.k8s.io/kwok") / "kustomize/stage", out / "stage")
    if component is ARGO_ROLLOUTS:
        module = _module(source, "github.com/argoproj/argo-rollouts", toolchain)
        crds = module / "manifests/crds"
        shutil.copytree(crds, out / "crds", copy_function=shutil.copyfile)
    if component is FLAGGER:
        crds = _module(source, "github.com/fluxcd/flagger") / "artifacts/flagger/crd.yaml"
        (out / "crds").mkdir()
        shutil.copyfile(crds, out / "crds/crd.yaml")
    if component is ENVOY:
        _envoy_chart(_module(source, "github.com/envoyproxy/gateway"), out / "chart")
    if component is ARGOCD:
        module = _module(source, "github.com/argoproj/argo-cd/v3")
        shutil.copytree(module / "manifests/crds", out / "crds")
        # The repo-server calls it for every commit, whether or not signatures are asked for.
        verify = shutil.copyfile(module / "hack" / VERIFY, out / VERIFY)
        verify.chmod(0o755)
    if component is FLUX:
        for package in component.packages:
            crds = _module(source, package) / "config/crd/bases"
            shutil.copytree(crds, out / "crds", dirs_exist_ok=True)


def _module(source: Path, path: str, toolchain: str = "") -> Path:
    """Where a module that `source` depends on lies in the module cache."""
    command = ["go", "list", "-mod=mod", "-m", "-f", "{{.Dir}}", path]
    told = run(command, cwd=source, env={"GOTOOLCHAIN": toolchain} if toolchain else None)
    return Path(told.strip().splitlines()[-1])


def _envoy_chart(module: Path, chart: Path) -> None:
    """Envoy Gateway's chart with the values that its release would fill in."""
    shutil.copytree(module / "charts" / "gateway-helm", chart, copy_function=shutil.copyfile)
    for folder in [chart, *(d for d in chart.rglob("*") if d.is_dir())]:
        folder.chmod(0o755)
    template = (chart / "values.tmpl.yaml").read_text()
    filled = {
        "${GatewayImage}": f"docker.io/envoyproxy/gateway:{module.name.rsplit('@', 1)[1]}",
        "${GatewayImagePullPolicy}": "IfNotPresent",
    }
    for placeholder, value in filled.items():
        template = template.replace(placeholder, value)
    (chart / "values.yaml").write_text(template)


def stub_lego(source: Path) -> None:
    """Put a copy of Traefik's ACME library without DNS providers beside go.mod, which replaces the
    module by it.

    Some of the providers' SDKs cannot be had as modules, and no certificate is ever ordered here.
    """
    version = re.search(r"github.com/go-acme/lego/v5 (v[0-9.]+)", (source / "go.mod").read_text())
    if version is None:
        raise ValueError(f"{source / 'go.mod'} does not require github.com/go-acme/lego/v5")
    module = f"github.com/go-acme/lego/v5@{version[1]}"
    # Outside of the module, whose go.mod replaces lego by the very folder that is being made.
    found = run(
        ["go", "mod", "download", "-json", module],
        cwd=source.parent,
        env={"GO111MODULE": "on", "GOFLAGS": "-mod=mod"},
    )
    directory = re.search(r'"Dir": "([^"]+)"', found)
    if directory is None:
        raise ValueError(f"{module} has no folder in the module cache")
    lego = source / "lego"
    ignored = shutil.ignore_patterns("*_test.go", "cmd", "e2e", "docs")
    shutil.copytree(directory[1], lego, ignore=ignored, copy_function=shutil.copyfile)
    for folder in [lego, *(d for d in lego.rglob("*") if d.is_dir())]:
        folder.chmod(0o755)
    providers = lego / "providers" / "dns"
    for folder in providers.iterdir():
        if folder.is_dir() and folder.name != "internal":
            shutil.rmtree(folder)
    (providers / "zz_gen_dns_providers.go").write_text(
        'package dns\n\nimport (\n\t"fmt"\n\n\t"github.com/go-acme/lego/v5/challenge"\n)\n\n'
        "// NewDNSChallengeProviderByName knows no provider.\n"
        "func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {\n"
        '\treturn nil, fmt.Errorf("unrecognized DNS provider: %s", name)\n}\n'
    )
