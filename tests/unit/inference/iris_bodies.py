"""Two rows of Iris, and right requests of the Open Inference Protocol for them."""

from typing import Any

SETOSA, VIRGINICA = [5.1, 3.5, 1.4, 0.2], [6.5, 3.0, 5.5, 2.0]
ROWS = [SETOSA, VIRGINICA]
NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def tensor(**changes: Any) -> dict[str, Any]:
    return {
        "inputs": [
            {
                "name": "input",
                "shape": [2, 4],
                "datatype": "FP64",
                "data": [*SETOSA, *VIRGINICA],
                **changes,
            }
        ]
    }


def column(n: int, shape: list[int]) -> dict[str, Any]:
    return {"name": NAMES[n], "shape": shape, "datatype": "FP32", "data": [row[n] for row in ROWS]}


INFER: dict[str, Any] = {
    "a matrix, flat": tensor(),
    "a matrix, nested": tensor(data=ROWS),
    "by another name": tensor(name="x"),
    "single precision": tensor(datatype="FP32"),
    "a column each, in any order": {"inputs": [column(n, [2, 1]) for n in (3, 1, 0, 2)]},
    "a column each, without a second dimension": {"inputs": [column(n, [2]) for n in range(4)]},
}
