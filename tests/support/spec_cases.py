"""Specs that the CRD takes or refuses: for the API server, and for what lints without one."""

from typing import Any

MINIMAL: dict[str, Any] = {"modelUri": "models:/iris/7", "traffic": {"host": "iris.example.com"}}


def with_field(path: str, value: Any) -> dict[str, Any]:
    """The minimal spec with one field set."""
    spec: dict[str, Any] = {**MINIMAL, "traffic": dict(MINIMAL["traffic"])}
    place = spec
    *parents, leaf = path.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
    place[leaf] = value
    return spec


GATE = {"metric": "accuracy", "min": 0.7}
COPIED = with_field("strategy.steps", [{"weight": 0, "shadow": 20}, {"weight": 10}])
"""A trial that begins with copies."""


def with_window(**changes: Any) -> dict[str, Any]:
    """The smallest spec with a window."""
    window = {"schedule": "FREQ=WEEKLY;BYDAY=FR", "start": "2026-01-02T18:00", "duration": "62h"}
    return with_field("strategy", {"windows": [window | changes]})


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a window each second": (
        with_window(schedule="FREQ=SECONDLY"),
        "write a recurrence rule of RFC 5545",
    ),
    "a window at a time of day of its own": (
        with_window(schedule="FREQ=DAILY;BYHOUR=3"),
        "the time of day is that of start",
    ),
    "a window whose start has a zone": (
        with_window(start="2026-01-02T18:00Z"),
        "start is a local date and time",
    ),
    "a window without a length": (with_window(duration="0s"), "write a duration from 1m"),
    "a window of a zone that is a path": (
        with_window(timeZone="../etc/passwd"),
        "write a time zone such as Europe/Berlin",
    ),
    "a window of another kind": (with_window(kind="Never"), "Unsupported value"),
    "a window of a rule that is too long": (
        with_window(schedule="FREQ=WEEKLY;BYDAY=" + "MO," * 90 + "FR"),
        "Too long",
    ),
    "a window without a rule": (
        with_field("strategy", {"windows": [{"start": "2026-01-02T18:00", "duration": "1h"}]}),
        "Required value",
    ),
    "more windows than one can follow": (
        with_field("strategy", {"windows": with_window()["strategy"]["windows"] * 11}),
        "Too many",
    ),
    "an approval of somebody": (
        with_field("strategy", {"approval": "Boss"}),
        "Unsupported value",
    ),
    "a file": (with_field("modelUri", "file:///etc/passwd"), "write models:/<name>/<version>"),
    "a path": (with_field("modelUri", "/mnt/model"), "write models:/<name>/<version>"),
    "an autoscaler without bounds": (with_field("autoscaling", {}), "Required value"),
    "an autoscaler of more than it may": (
        with_field("autoscaling", {"min": 5, "max": 4, "target": 70}),
        "write a max of at least min",
    ),
    "an autoscaler to nothing": (
        with_field("autoscaling", {"min": 0, "max": 4, "target": 70}),
        "autoscaling.min is a count of pods",
    ),
    "an autoscaler without end": (
        with_field("autoscaling", {"max": 5000, "target": 70}),
        "autoscaling.max is a count of pods",
    ),
    "CPU as a share of one": (
        with_field("autoscaling", {"max": 4, "target": 0.7}),
        "write a whole number from 1 to 1000, such as 70",
    ),
    "a latency of nothing": (
        with_field("autoscaling", {"max": 4, "metric": "latency", "target": 0}),
        "write a number from 0.001 to 1000000",
    ),
    "another metric": (
        with_field("autoscaling", {"max": 4, "metric": "memory", "target": 70}),
        'supported values: "cpu", "rps", "latency"',
    ),
    "an autoscaler by CPU that nobody requests": (
        with_field("resources", {"requests": {"memory": "1Gi"}})
        | {"autoscaling": {"max": 4, "target": 70}},
        "write resources.requests.cpu, or autoscaling.metric: rps",
    ),
    "an autoscaler where pods are the split": (
        {
            "modelUri": "models:/iris/7",
            "traffic": {"provider": "None"},
            "autoscaling": {"max": 4, "target": 70},
        },
        "the numbers of pods are the split, which an autoscaler would change",
    ),
    "another scheme": (
        with_field("modelUri", "https://example.com/m"),
        "write models:/<name>/<version>",
    ),
    "latest": (with_field("modelUri", "models:/iris/latest"), "write models:/<name>/<version>"),
    "a stage": (
        with_field("modelUri", "models:/iris/Production"),
        "write models:/<name>/<version>",
    ),
    "a traversal": (with_field("modelUri", "models:/../x/1"), "write models:/<name>/<version>"),
    "a traversal as name": (
        with_field("modelUri", "models:/../1"),
        "write models:/<name>/<version>",
    ),
    "the alias latest": (
        with_field("modelUri", "models:/iris@latest"),
        "whatever version anybody registered last: set an alias",
    ),
    "the alias Latest": (
        with_field("modelUri", "models:/iris@LaTest"),
        "whatever version anybody registered last: set an alias",
    ),
    "a name that a pod would expand": (
        with_field("modelUri", "models:/$(HOME)/1"),
        "letters, digits, blanks and _ . -",
    ),
    "a name that ends in a blank": (
        with_field("modelUri", "models:/iris /1"),
        "letters, digits, blanks and _ . -",
    ),
    "a name with a mark of direction": (
        with_field("modelUri", "models:/iri\u202es/1"),
        "letters, digits, blanks and _ . -",
    ),
    "an alias with a blank": (
        with_field("modelUri", "models:/iris@a b"),
        "aliases of letters, digits and _ -",
    ),
    "version 0": (with_field("modelUri", "models:/iris/0"), "write models:/<name>/<version>"),
    "a newline after the version": (
        with_field("modelUri", "models:/iris/1\n"),
        "write models:/<name>/<version>",
    ),
    "a profile that is no name": (
        with_field("profile", "GPU_1"),
        "profile is a name: write lower-case letters, digits and -, such as gpu",
    ),
    "a profile without a name": (with_field("profile", ""), "profile is a name"),
    "weight 101": (with_field("strategy.steps", [{"weight": 101}]), "whole number from 1 to 100"),
    "weight -1": (with_field("strategy.steps", [{"weight": -1}]), "whole number from 1 to 100"),
    "weight 0 without copies": (
        with_field("strategy.steps", [{"weight": 0}, {"weight": 10}]),
        "write shadow: 20 beside it",
    ),
    "weight 0 with no share of copies": (
        with_field("strategy.steps", [{"weight": 0, "shadow": 0}, {"weight": 10}]),
        "write shadow: 20 beside it",
    ),
    "copies alone": (
        with_field("strategy.steps", [{"weight": 0, "shadow": 20}]),
        "write a step with a weight above 0 after",
    ),
    "two steps of copies": (
        with_field("strategy.steps", [{"weight": 0, "shadow": 5}, {"weight": 0, "shadow": 20}]),
        "write each weight greater than the one before it",
    ),
    "101 % of copies": (
        with_field("strategy.steps", [{"weight": 10, "shadow": 101}]),
        "shadow is a percentage",
    ),
    "disagreement without copies": (
        with_field("analysis.gates", [{"metric": "disagreement", "max": 0.05}]),
        "write shadow in a step of strategy.steps",
    ),
    "disagreement with min": (
        {**COPIED, "analysis": {"gates": [{"metric": "disagreement", "min": 0.05}]}},
        "a share between 0 and 1, such as max: 0.1",
    ),
    "a disagreement of 1": (
        {**COPIED, "analysis": {"gates": [{"metric": "disagreement", "max": 1.0}]}},
        "a share between 0 and 1, such as max: 0.1",
    ),
    "disagreement as reported": (
        {
            **COPIED,
            "analysis": {
                "gates": [{"metric": "disagreement", "max": 0.05, "evidence": "Reported"}]
            },
        },
        "leave evidence out",
    ),
    "a disagreement whose tolerance is all": (
        {
            **COPIED,
            "analysis": {"gates": [{"metric": "disagreement", "max": 0.5, "tolerance": 0.5}]},
        },
        "tolerance is taken off the threshold",
    ),
    "steps that descend": (
        with_field("strategy.steps", [{"weight": 50}, {"weight": 10}]),
        "steps must ascend",
    ),
    "steps that repeat": (
        with_field("strategy.steps", [{"weight": 10}, {"weight": 10}]),
        "steps must ascend",
    ),
    "no steps": (with_field("strategy.steps", []), "at least 1 items"),
    "threshold 7": (with_field("analysis.gates", [{**GATE, "min": 7}]), "write min: 0.70 for 70 %"),
    "a negative threshold": (
        with_field("analysis.gates", [{**GATE, "min": -0.1}]),
        "write min: 0.70 for 70 %",
    ),
    "accuracy with max": (
        with_field("analysis.gates", [{"metric": "accuracy", "max": 0.7}]),
        "accuracy takes min",
    ),
    "accuracy with both": (
        with_field("analysis.gates", [{**GATE, "max": 0.9}]),
        "accuracy takes min",
    ),
    "errorRate of 5": (
        with_field("analysis.gates", [{"metric": "errorRate", "max": 5}]),
        "write max: 0.01 for 1 %",
    ),
    "errorRate without max": (with_field("analysis.gates", [{"metric": "errorRate"}]), "take max"),
    "a drop and a threshold": (
        with_field("analysis.gates", [{**GATE, "maxDrop": 0.05}]),
        "accuracy takes min",
    ),
    "a drop of 5": (
        with_field("analysis.gates", [{"metric": "accuracy", "maxDrop": 5}]),
        "write maxDrop: 0.05",
    ),
    "accuracy with maxIncrease": (
        with_field("analysis.gates", [{"metric": "accuracy", "maxIncrease": 0.1}]),
        "accuracy takes min",
    ),
    "a labelled threshold of 1": (
        with_field("analysis.gates", [{**GATE, "min": 1.0, "evidence": "Labelled"}]),
        "no count of labels",
    ),
    "a labelled error rate of 0": (
        with_field("analysis.gates", [{"metric": "errorRate", "max": 0, "evidence": "Labelled"}]),
        "no count of labels",
    ),
    "errorRate against stable as reported": (
        with_field("analysis.gates", [{"metric": "errorRate", "maxIncrease": 0.01}]),
        "write evidence: Labelled",
    ),
    "latency against stable by labels": (
        with_field(
            "analysis.gates",
            [{"metric": "latencyP95Seconds", "maxIncrease": 0.05, "evidence": "Labelled"}],
        ),
        "leave evidence out",
    ),
    "predictionShift without max": (
        with_field("analysis.gates", [{"metric": "predictionShift", "maxIncrease": 0.1}]),
        "predictionShift and disagreement take max",
    ),
    "a predictionShift of 1": (
        with_field("analysis.gates", [{"metric": "predictionShift", "max": 1.0}]),
        "a share between 0 and 1, such as max: 0.1",
    ),
    "an inputDrift of 0": (
        with_field("analysis.gates", [{"metric": "inputDrift", "max": 0.0}]),
        "a PSI, such as max: 0.2",
    ),
    "inputDrift by labels": (
        with_field(
            "analysis.gates", [{"metric": "inputDrift", "max": 0.2, "evidence": "Labelled"}]
        ),
        "leave evidence out",
    ),
    "predictionShift as reported": (
        with_field(
            "analysis.gates", [{"metric": "predictionShift", "max": 0.1, "evidence": "Reported"}]
        ),
        "leave evidence out",
    ),
    "alpha of 5": (
        with_field("analysis.gates", [{**GATE, "alpha": {"promote": 5}}]),
        "write 0.05 for 5 %",
    ),
    "a tolerance above the threshold": (
        with_field("analysis.gates", [{**GATE, "tolerance": 0.8}]),
        "tolerance is taken off",
    ),
    "fewer samples at most than at least": (
        with_field("analysis.gates", [{**GATE, "minSamples": 100, "maxSamples": 50}]),
        "maxSamples",
    ),
    "a coverage of 80": (
        with_field("analysis.gates", [{**GATE, "minCoverage": 80}]),
        "write 0.8 for 80 %",
    ),
    "a design effect below 1": (
        with_field("analysis.gates", [{**GATE, "designEffect": 0.5}]),
        "number of at least 1",
    ),
    "evidence that nobody knows": (
        with_field("analysis.gates", [{**GATE, "evidence": "Guessed"}]),
        "supported values",
    ),
    "steps by evidence without a labelled gate": (
        with_field("strategy.advanceOn", "Evidence"),
        "needs a gate with evidence: Labelled",
    ),
    "a watch with nobody to compare with": (
        with_field("strategy.watch", "24h")
        | {"analysis": {"gates": [{"metric": "accuracy", "maxDrop": 0.05}]}},
        "gets no requests in a watch",
    ),
    "a metric that is no name": (
        with_field("analysis.gates", [{"metric": "F1-score", "min": 0.7}]),
        "metric is a name",
    ),
    "a metric with a long name": (
        with_field("analysis.gates", [{"metric": "f" * 33, "min": 0.7}]),
        "Too long: may not be more than 32",
    ),
    "a metric of one's own with two bounds": (
        with_field("analysis.gates", [{"metric": "revenue", "min": 7, "max": 9}]),
        "one of the four: write exactly one",
    ),
    "a metric of one's own without a bound": (
        with_field("analysis.gates", [{"metric": "revenue"}]),
        "one of the four: write exactly one",
    ),
    "a metric of one's own that may drop by less than nothing": (
        with_field("analysis.gates", [{"metric": "revenue", "maxDrop": -1}]),
        "maxDrop must not be negative",
    ),
    "a duration that is none": (
        with_field("analysis.interval", "banana"),
        "write an interval of at least 1s",
    ),
    "an ISO duration": (with_field("analysis.maxHold", "PT5S"), "write a duration such as 30s"),
    "no interval": (with_field("analysis.interval", "0s"), "at least 1s"),
    "no replicas": (with_field("replicas", 0), "whole number from 1 to 1000"),
    "a host with a scheme": (
        with_field("traffic.host", "http://iris"),
        "write a lower-case host name",
    ),
    "a host that injects configuration": (
        with_field("traffic.host", "a;}{"),
        "write a lower-case host name",
    ),
    "a path that does not begin with /": (with_field("traffic.path", "iris"), "starts with /"),
    "a path that injects configuration": (with_field("traffic.path", "/a;}"), "starts with /"),
    "a router that does not exist": (with_field("traffic.provider", "Magic"), "supported values"),
    "an interval above a year": (
        with_field("analysis.interval", "8761h"),
        "a year (8760h) at most",
    ),
    "an interval of no hours": (with_field("analysis.interval", "0h0m"), "at least 1s"),
    "a duration above a year": (
        with_field("strategy.scaleDownDelay", "99999999999h"),
        "of a year (8760h) at most",
    ),
    "an address as host": (with_field("traffic.host", "10.0.0.1"), "takes no address"),
    "a path with an empty segment": (with_field("traffic.path", "/a//b"), "without //"),
    "a path that climbs": (with_field("traffic.path", "/a/.."), "segments . or .."),
    "a path below which a segment names a model": (
        with_field("traffic.path", "/v2/models"),
        "write another path",
    ),
    "the same under another, with a slash": (
        with_field("traffic.path", "/api/v2/models/"),
        "write another path",
    ),
    "a path below which a segment names a version": (
        with_field("traffic.path", "/v2/models/iris/versions"),
        "write another path",
    ),
    "a class that is no name": (
        with_field("traffic.ingressClassName", "a..b"),
        "write the name of an IngressClass",
    ),
    "a negative quantity": (with_field("resources.requests.cpu", "-100m"), "not below 0"),
    "less CPU at most than is requested": (
        with_field("resources", {"requests": {"cpu": "1"}, "limits": {"cpu": "500m"}}),
        "limits.cpu is below requests.cpu",
    ),
    "less memory at most than is requested by default": (
        with_field("resources", {"limits": {"memory": "128Mi"}}),
        "which is 256Mi where it is not given",
    ),
    "a quantity that is none": (
        with_field("resources.requests.cpu", "much"),
        "write a Kubernetes quantity",
    ),
    "no host": ({"modelUri": "models:/iris/7", "traffic": {}}, "write host: iris.example.com"),
    "an empty list of hosts": (
        {"modelUri": "models:/iris/7", "traffic": {"hosts": []}},
        "write host: iris.example.com",
    ),
    "more pods for the candidate than for stable": (
        {
            "modelUri": "models:/iris/7",
            "traffic": {"provider": "None"},
            "strategy": {"steps": [{"weight": 10}, {"weight": 51}]},
        },
        "write weights of 50 at most",
    ),
    "a host twice": (
        with_field("traffic.hosts", ["iris.example.com"]),
        "a host stands there twice",
    ),
    "one of several hosts twice": (
        with_field("traffic.hosts", ["a.example.com", "b.example.com", "a.example.com"]),
        "a host stands there twice",
    ),
    "one of several hosts that injects configuration": (
        with_field("traffic.hosts", ["a.example.com", "a;}{"]),
        "write a lower-case host name",
    ),
    "17 hosts": (
        with_field("traffic.hosts", [f"{n}.example.com" for n in range(16)]),
        "must have at most 15 items",
    ),
    "no modelUri": ({"traffic": MINIMAL["traffic"]}, "spec.modelUri: Required value"),
    "an unknown field": (with_field("modelURI", "models:/iris/7"), 'unknown field "spec.modelURI"'),
    "a negative increase": (
        with_field("analysis.gates", [{"metric": "latencyP95Seconds", "maxIncrease": -1}]),
        "write maxIncrease: 0.01",
    ),
    "no samples": (
        with_field("analysis.gates", [{**GATE, "minSamples": 0}]),
        "whole number of at least 1",
    ),
    "five samples at most": (
        with_field("analysis.gates", [{**GATE, "minSamples": 1, "maxSamples": 5}]),
        "from 10 to 1000000",
    ),
    "an IngressClass that is no name": (
        with_field("traffic.ingressClassName", "a b"),
        "name of an IngressClass",
    ),
    "33 annotations": (
        with_field("traffic.annotations", {f"example.com/{n}": "x" for n in range(33)}),
        "must have at most 32 items",
    ),
    "an annotation that is a number": (
        with_field("traffic.annotations", {"example.com/weight": 8}),
        "must be of type string",
    ),
    "an annotation that is very long": (
        with_field("traffic.annotations", {"example.com/a": "x" * 4097}),
        "may not be more than 4096",
    ),
    "a Secret that is no name": (with_field("traffic.tlsSecret", "../x"), "name of a Secret"),
    "a listener that is no name": (
        with_field("traffic.parentRefs", [{"name": "g", "sectionName": "../x"}]),
        "name of a listener",
    ),
    "an image": (with_field("image", "evil"), 'unknown field "spec.image"'),
    "a service account": (
        with_field("serviceAccountName", "admin"),
        'unknown field "spec.serviceAccountName"',
    ),
}


NAMES = {
    "too long": ("a" * 60, "write at most 48 characters"),
    "with a dot": ("iris.v1", "names a Service"),
    "beginning with a digit": ("1iris", "names a Service"),
}


ACCEPTED = {
    "a window": with_window(),
    "a window of all parts": with_window(
        kind="Allow",
        schedule="INTERVAL=2;FREQ=MONTHLY;BYDAY=1MO,-1FR;COUNT=5",
        start="2026-01-02T18:00:30",
        timeZone="America/Argentina/Buenos_Aires",
    ),
    "an approval": with_field("strategy", {"approval": "Required"}),
    "metrics of one's own": with_field(
        "analysis.gates",
        [
            {"metric": "revenue", "min": 12.5},
            {"metric": "profit", "min": -3},
            {"metric": "revenue", "maxDrop": 2},
            {"metric": "revenue", "min": 12.5, "evidence": "Labelled", "tolerance": 20},
            {"metric": "p99", "max": 7.5},
            {"metric": "p99", "maxIncrease": 2},
            {"metric": "conversionRate", "min": 0.03, "evidence": "Labelled", "tolerance": 0.01},
            {"metric": "conversionRate", "maxDrop": 0.01, "evidence": "Labelled"},
        ],
    ),
    "an autoscaler by CPU": with_field("autoscaling", {"max": 10, "target": 70}),
    "an autoscaler by latency": with_field(
        "autoscaling", {"min": 3, "max": 3, "metric": "latency", "target": 0.25}
    ),
    "two lines": MINIMAL,
    "an alias": with_field("modelUri", "models:/iris@champion"),
    "a name with dots and dashes": with_field("modelUri", "models:/iris.eu-west_1/7"),
    "a name with a blank": with_field("modelUri", "models:/my model/1"),
    "a name with accents": with_field("modelUri", "models:/größe/1"),
    "a name of another script": with_field("modelUri", "models:/日本/1"),
    "a name that begins with a dash": with_field("modelUri", "models:/-x/1"),
    "a number as alias": with_field("modelUri", "models:/iris@7"),
    "an alias that begins with a digit": with_field("modelUri", "models:/iris@2026-q4"),
    "an alias that begins with _": with_field("modelUri", "models:/iris@_prod"),
    "an alias with accents": with_field("modelUri", "models:/größe@größte"),
    "an alias that only begins with latest": with_field("modelUri", "models:/iris@latest-good"),
    "numbers as quantities": with_field(
        "resources", {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    ),
    "the threshold 1": with_field("analysis.gates", [{"metric": "accuracy", "min": 1}]),
    "three gates": with_field(
        "analysis.gates",
        [GATE, {"metric": "errorRate", "max": 0.01}, {"metric": "latencyP95Seconds", "max": 0.25}],
    ),
    "gates without labels": with_field(
        "analysis.gates",
        [{"metric": "predictionShift", "max": 0.1}, {"metric": "inputDrift", "max": 2.5}],
    ),
    "a careful trial": {
        **COPIED,
        "analysis": {"gates": [{"metric": "disagreement", "max": 0.05, "tolerance": 0.01}, GATE]},
    },
    "copies beside requests": with_field("strategy.steps", [{"weight": 100, "shadow": 100}]),
    "long durations": with_field("strategy.progressDeadline", "1h30m"),
    "a path with a route's word": with_field("traffic.path", "/api/v2"),
    "a path below the names of models": with_field("traffic.path", "/v2/models/iris"),
    "16 hosts": with_field("traffic.hosts", [f"{n}.example.com" for n in range(15)]),
    "only hosts": {"modelUri": "models:/iris/7", "traffic": {"hosts": ["iris.example.com"]}},
    "no route": {"modelUri": "models:/iris/7", "traffic": {"provider": "None"}},
    "one step": with_field("strategy.steps", [{"weight": 100, "hold": "5m"}]),
}


TRAFFIC = {"provider": "HTTPRoute", "host": "iris.example.com", "parentRefs": [{"name": "public"}]}


REFUSED_TRAFFIC = {
    "a host without a route": (
        {"provider": "None", "host": "a.example.com"},
        "provider: None makes no route",
    ),
    "hosts without a route": (
        {"provider": "None", "hosts": ["a.example.com"]},
        "provider: None makes no route",
    ),
    "a path without a route": (
        {"provider": "None", "path": "/iris"},
        "provider: None makes no route",
    ),
    "annotations without a route": (
        {"provider": "None", "annotations": {"cert-manager.io/issuer": "a"}},
        "provider: None makes no route",
    ),
    "a certificate without a route": (
        {"provider": "None", "tlsSecret": "a"},
        "provider: None makes no route",
    ),
    "a Gateway without a route": (
        {"provider": "None", "parentRefs": [{"name": "public"}]},
        "parentRefs belong to provider: HTTPRoute",
    ),
    "no Gateway": ({"provider": "HTTPRoute", "host": "a.example.com"}, "write parentRefs"),
    "a Gateway for an Ingress": (
        {"host": "a.example.com", "parentRefs": [{"name": "public"}]},
        "parentRefs belong to provider: HTTPRoute",
    ),
    "a mirror for an Ingress": (
        {"host": "a.example.com", "mirrorPercent": 5},
        "only a Gateway mirrors",
    ),
    "a mirror of 101 %": ({**TRAFFIC, "mirrorPercent": 101}, "whole number from 1 to 100"),
    "a certificate for an HTTPRoute": (
        {**TRAFFIC, "tlsSecret": "x"},
        "listener holds the certificate",
    ),
    "a namespace of one's own choice": (
        {**TRAFFIC, "parentRefs": [{"name": "public", "namespace": "kube-system"}]},
        "field not declared in schema",
    ),
    "a Gateway that is no name": (
        {**TRAFFIC, "parentRefs": [{"name": "../x"}]},
        "write the name of a Gateway",
    ),
    "an unknown router": ({"provider": "Istio", "host": "a.example.com"}, "Unsupported value"),
}
