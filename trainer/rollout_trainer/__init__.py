"""Checks data, trains a classifier on it, evaluates it, and registers it in MLflow so that it can
be rolled out.
"""
