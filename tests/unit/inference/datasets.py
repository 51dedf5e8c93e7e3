"""Data sets and forests of a size that tests have the time for."""

import numpy as np
from sklearn.datasets import load_diabetes, load_iris

IRIS, DIABETES = load_iris(as_frame=True), load_diabetes(as_frame=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])
SMALL = {"n_estimators": 8, "random_state": 0}
