"""The webhook bridge: what MLflow's registry tells by signed webhook becomes a ModelRollout, or a
GitHub `repository_dispatch`.
"""
