"""Live answers beside scikit-learn's."""
