"""`kubectl modelrollout feedback`: labels of a file, through the proxy of a real API server, to a
real model server.
"""

from pathlib import Path

import pytest

from rollout_cli.exit_codes import Exit
from tests.api.cli import Cli
from tests.support.api_client import ApiClient, wait_for
from tests.support.copying_pods import own_address
from tests.support.kinds import GROUP, Object, path_of
from tests.support.model_servers import flowers, model_server, write_model

ROWS = 40


def behind(api: ApiClient, ns: str, port: int) -> None:
    """The rollout `iris`, and its Service, which leads to this port of this machine."""
    spec = {"modelUri": "models:/iris/1", "traffic": {"host": f"{ns}.example.com"}}
    made: dict[str, Object] = {
        "ModelRollout": {"apiVersion": f"{GROUP}/v1alpha1", "spec": spec},
        "Service": {
            "apiVersion": "v1",
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": port}]},
        },
        "EndpointSlice": {
            "apiVersion": "discovery.k8s.io/v1",
            "addressType": "IPv4",
            "endpoints": [{"addresses": [own_address()], "conditions": {"ready": True}}],
            "ports": [{"name": "http", "port": port}],
        },
    }
    for kind, manifest in made.items():
        meta = {"name": "iris", "namespace": ns, "labels": {"kubernetes.io/service-name": "iris"}}
        whole = {"kind": kind, "metadata": meta, **manifest}
        assert api.apply(f"{path_of(kind, ns)}/iris", whole).status_code in {200, 201}
    # The API server's own proxy reads Endpoints, and believes those of Pods that have the address.
    address = own_address()
    meta = {"name": "iris-1", "namespace": ns}
    containers = [{"name": "model", "image": "model"}]
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": meta}
    pod["spec"] = {"automountServiceAccountToken": False, "containers": containers}
    path = f"/api/v1/namespaces/{ns}/pods/iris-1"
    assert api.apply(path, pod).status_code in {200, 201}
    running = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    assert api.patch(f"{path}/status", {"status": running}).status_code == 200
    one = {"ip": address, "targetRef": {"kind": "Pod", **meta}}
    older: Object = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {**meta, "name": "iris"}}
    older["subsets"] = [{"addresses": [one], "ports": [{"name": "http", "port": port}]}]
    path = f"/api/v1/namespaces/{ns}/endpoints/iris"
    assert api.apply(path, older).status_code in {200, 201}


@pytest.fixture
def cli(api: ApiClient, ns: str) -> Cli:
    return Cli(api.kubeconfig, ns)


def test_labels_of_a_file_are_counted_by_the_pods(
    api: ApiClient, ns: str, cli: Cli, tmp_path: Path
) -> None:
    split = flowers()
    rows = split.train.to_numpy().tolist()[:ROWS]
    with model_server(write_model(tmp_path / "model"), "aaaaaaaa", tmp_path) as server:
        behind(api, ns, server.port)
        said = server.pool.request("POST", f"{server.url}/predict/", json={"instances": rows})
        ids = said.json()["prediction_ids"]
        lines = [f"{one},{label}" for one, label in zip(ids, split.train_labels, strict=False)]
        lines[5] = "nobody,setosa"
        file, progress = tmp_path / "labels.csv", tmp_path / "labels.done"
        file.write_text("id,label\n" + "\n".join(lines) + "\n")

        told = cli.ok("feedback", "iris", str(file), "--dry-run")
        assert f"{ROWS} labels in 1 requests would go to {ns}/iris" in told
        assert sum(server.series("ml_feedback_total", "outcome").values()) == 0

        def sent() -> tuple[int, str, str] | None:
            found = cli(
                *("feedback", "iris", str(file), "--batch", "7", "--progress", str(progress))
            )
            # The API server learns of the endpoints when it does.
            return found if "no endpoints" not in found[2] else None

        code, out, err = wait_for(sent, "the API server to know the endpoints")
        assert (code, out) == (Exit.ROLLED_BACK, f"{ns}/iris: {ROWS - 1} counted, 1 refused.\n")
        assert "line 7: " in err
        assert sum(server.series("ml_feedback_total", "outcome").values()) == ROWS - 1
        assert progress.read_text().split()[0] == str(ROWS)
        assert cli.ok("feedback", "iris", str(file), "--progress", str(progress)) == (
            f"{ns}/iris: none, {ROWS} sent before.\n"
        )
    progress.unlink()
    code, _, err = cli("feedback", "iris", str(file), "--patience", "1s")
    assert code == Exit.UNREACHABLE
    assert f"{ns}/iris takes no labels" in err
