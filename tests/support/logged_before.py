"""Models as teams have them in their registries: logged with scikit-learn 1.6 and MLflow 2.

They are made once, and kept in tests/unit/inference/logged_before, because no environment of ours
has these versions. To make them again:

    uv run --isolated --no-project --python 3.11 --with mlflow==2.22.1 --with scikit-learn==1.6.1 \\
      --with xgboost-cpu==2.1.4 --with lightgbm==4.5.0 --with catboost==1.2.7 --with onnx==1.17.0 \\
      --with skl2onnx==1.18.0 --with onnxruntime==1.20.1 --with 'setuptools<81' \\
      python tests/support/logged_before.py tests/unit/inference/logged_before
"""

import json
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

ROWS_EVERY = 5
"""Which rows of iris are asked."""


def main(target: Path) -> None:
    """Log each, and keep what its own MLflow answers."""
    import catboost
    import lightgbm
    import mlflow.pyfunc
    import numpy as np
    import pandas as pd
    import xgboost
    from mlflow.models import infer_signature
    from skl2onnx import to_onnx
    from sklearn.datasets import load_iris
    from sklearn.ensemble import (
        GradientBoostingClassifier,
        HistGradientBoostingClassifier,
        RandomForestClassifier,
    )
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import (
        LinearRegression,
        LogisticRegression,
        SGDClassifier,
    )
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    numbers, labels = load_iris(return_X_y=True)
    rows = pd.DataFrame(numbers, columns=["a", "b", "c", "d"])
    linear = LogisticRegression(max_iter=1_000)
    few: dict[str, Any] = {"iterations": 3, "verbose": 0, "allow_writing_files": False}
    matrix = xgboost.DMatrix(rows, label=labels == 2)
    binary = {"objective": "binary:logistic"}
    models: dict[str, tuple[str, Any]] = {
        "LogisticRegression": ("sklearn", linear.fit(rows, labels)),
        "LinearRegression": ("sklearn", LinearRegression().fit(rows, labels * 2.5)),
        "Pipeline of StandardScaler and SVC": (
            "sklearn",
            make_pipeline(StandardScaler(), SVC()).fit(rows, labels),
        ),
        "Pipeline of SimpleImputer and LogisticRegression": (
            "sklearn",
            make_pipeline(SimpleImputer(), LogisticRegression(max_iter=999)).fit(rows, labels),
        ),
        "RandomForestClassifier": (
            "sklearn",
            RandomForestClassifier(3, random_state=0).fit(rows, labels),
        ),
        "KNeighborsClassifier": ("sklearn", KNeighborsClassifier().fit(rows, labels)),
        "GradientBoostingClassifier": (
            "sklearn",
            GradientBoostingClassifier(n_estimators=2, random_state=0).fit(rows, labels),
        ),
        "HistGradientBoostingClassifier": (
            "sklearn",
            HistGradientBoostingClassifier(max_iter=2).fit(rows, labels),
        ),
        "SGDClassifier": ("sklearn", SGDClassifier(random_state=0).fit(rows, labels)),
        "XGBClassifier": ("xgboost", xgboost.XGBClassifier(n_estimators=3).fit(rows, labels)),
        "Booster of XGBoost": ("xgboost", xgboost.train(binary, matrix, 3)),
        "Booster of LightGBM": (
            "lightgbm",
            lightgbm.train({"verbose": -1}, lightgbm.Dataset(rows, label=labels * 2.5), 3),
        ),
        "LGBMClassifier": (
            "lightgbm",
            lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(rows, labels),
        ),
        "CatBoostClassifier": (
            "catboost",
            catboost.CatBoostClassifier(**few).fit(rows, labels),
        ),
        "LogisticRegression as ONNX": (
            "onnx",
            to_onnx(linear, numbers[:1].astype(np.float32)),
        ),
    }
    asked = rows[::ROWS_EVERY]
    for name, (flavor, model) in models.items():
        folder = target / name.replace(" ", "-")
        shutil.rmtree(folder, ignore_errors=True)
        getattr(mlflow, flavor).save_model(
            model, str(folder), signature=infer_signature(rows), pip_requirements=[]
        )
        said = mlflow.pyfunc.load_model(str(folder)).predict(asked)
        if isinstance(said, pd.DataFrame):  # of ONNX: a column for each output
            said = said.iloc[:, 0]
        (folder / "answers.json").write_text(json.dumps(np.asarray(said).ravel().tolist()))
        for left in ("conda.yaml", "python_env.yaml", "requirements.txt"):
            (folder / left).unlink()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
