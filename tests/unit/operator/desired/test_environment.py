"""What variables model pods get, by their namespace."""

import pytest

from rollout_operator.desired.environment import of_namespace


@pytest.mark.parametrize(
    ("patterns", "namespace", "code"),
    [
        pytest.param("ml-*, sandbox", "ml-a", True, id="a pattern"),
        pytest.param("ml-*, sandbox", "sandbox", True, id="a name after a blank"),
        pytest.param("ml-*", "web", False, id="another"),
        pytest.param("", "web", False, id="nothing allowed"),
    ],
)
def test_code_is_allowed_by_namespace(patterns: str, namespace: str, code: bool) -> None:
    """A pod is told yes or nothing, never who else may."""
    common = {"MODEL_ALLOW_CODE": patterns, "MODEL_MAX_BYTES": "5"}
    wanted = {"MODEL_MAX_BYTES": "5", **({"MODEL_ALLOW_CODE": "1"} if code else {})}
    assert of_namespace(common, namespace) == wanted
